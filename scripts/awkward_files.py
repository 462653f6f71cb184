"""Awkward files, a hundred and more, made here, and what becomes of each: read, refused with the true reason, or silently wrong.

    python -m scripts.awkward_files [--keep FOLDER]

Exit code 1 when fewer than 102 are right, or one is taken as read without what it says.
"""

from __future__ import annotations

import argparse
import base64
import bz2
import gzip
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

from rich.console import Console
from rich.table import Table

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.parsing.formats import parse
from scripts.awkward_parts import parts

LEAST = 102


@dataclass(frozen=True, slots=True)
class Awkward:
    """A file that says `holds` where it is read, or is refused with `reason`."""

    name: str
    data: bytes
    holds: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it: `right`, `refused` without need or with another reason, or `silently wrong`."""

    file: Awkward
    verdict: str
    said: str = ""


def outcome(file: Awkward) -> Outcome:
    """Read it as the product does."""
    try:
        title, blocks = parse(file.name, file.data)
    except UnsupportedMediaType as refused:
        right = file.reason and file.reason in refused.message
        return Outcome(file, "right" if right else "refused", refused.message)
    text = "\n".join([title, *(f"{block.location}: {block.text.strip()}" for block in blocks)])
    if file.reason:
        if not any(block.text.strip() for block in blocks) and file.reason == "no text":
            return Outcome(file, "right", "holds no text")  # ingestion says so
        return Outcome(file, "silently wrong", text[:80])
    return Outcome(file, "right" if file.holds in text else "silently wrong", text[:80])


def files() -> list[Awkward]:
    """All of them."""
    first = (_encodings, _pages, _tables, _office, _mail, _named_wrongly, _unreadable)
    return [*(file for kind in first for file in kind()), *starmap(Awkward, parts())]


def _encodings() -> Iterator[Awkward]:
    said = {
        "utf-8-sig": "Der Wasserkocher hat drei Jahre Garantie, größer als üblich.",
        "utf-16-le": "The warranty of the kettle is three years, and it starts today.",
        "utf-16-be": "Гарантия на чайник составляет три года со дня покупки.",
        "utf-32": "The warranty of the kettle is three years.",
        "gb18030": "这台热水壶的保修期为三年，从购买之日起计算，请保留收据。",
        "big5": "這台熱水壺的保固期為三年，從購買之日起計算，請保留收據。",
        "shift_jis": "このケトルの保証期間は三年です。領収書を保管してください。",
        "euc_jp": "このケトルの保証期間は三年です。領収書を保管してください。",
        "iso2022_jp": "このケトルの保証期間は三年です。領収書を保管してください。",
        "euc_kr": "이 주전자의 보증 기간은 삼 년이며 구입한 날부터 시작됩니다.",
        "cp1251": "Гарантия на чайник составляет три года со дня покупки, сохраните чек.",
        "koi8_r": "Гарантия на чайник составляет три года со дня покупки, сохраните чек.",
        "cp1252": "Der Wasserkocher hat drei Jahre Garantie – „größer“ als üblich.",
        "iso8859_7": "Η εγγύηση του βραστήρα είναι τρία χρόνια από την ημέρα της αγοράς.",
        "cp1255": "האחריות על הקומקום היא שלוש שנים מיום הקנייה, נא לשמור את הקבלה.",
        "cp1256": "ضمان الغلاية ثلاث سنوات من يوم الشراء، يرجى الاحتفاظ بالإيصال.",
        "tis_620": "การรับประกันกาต้มน้ำมีอายุสามปีนับจากวันที่ซื้อ โปรดเก็บใบเสร็จไว้",
        "iso8859_2": "Záruka na konvici je tři roky ode dne nákupu, uschovejte prosím účtenku.",
    }
    for codec, text in said.items():
        yield Awkward(f"{codec}.txt", (text + "\n").encode(codec) * 3, text)
    yield Awkward("old-mac.txt", b"first line\rsecond line\rthe warranty\r", "the warranty")
    yield Awkward("broken.txt", "Größe: drei Jahre. ".encode() * 50 + b"\xff\xfe ende", "Größe: drei Jahre.")


def _pages() -> Iterator[Awkward]:
    menu = "".join(f"<li><a href='/{n}'>Menu {n}</a></li>" for n in range(40))
    head = "<!DOCTYPE html><html><head><title>Shop</title></head><body>"
    yield Awkward(
        "menu.html",
        f"{head}<div class=menu><ul>{menu}</ul></div><p>The warranty is three years.</p></body></html>".encode(),
        "The warranty is three years.",
    )
    yield Awkward(
        "declared.html",
        f'<html><meta charset="windows-1251"><p>{"Гарантия три года. " * 9}</p></html>'.encode("cp1251"),
        "Гарантия три года.",
    )
    yield Awkward("entities.xhtml", b"<html><p>Caf&eacute; &amp; tea&nbsp;&euro;5</p></html>", "Café & tea")
    yield Awkward(
        "nested.html", (f"{head}{'<div>' * 3000}deep inside{'</div>' * 3000}").encode(), "deep inside"
    )
    table = "<table><tr><th>Name</th><th>Price</th></tr><tr><td>Kettle</td><td>39</td></tr></table>"
    yield Awkward("table.html", f"{head}{table}</body></html>".encode(), "| Kettle | 39 |")
    yield Awkward(
        "scripts.html",
        f"{head}<script>var a='<p>no</p>';</script><style>p{{}}</style><p>yes, three years</p>".encode(),
        "yes, three years",
    )
    yield Awkward(
        "front.md", b"---\ntitle: Manual\n---\n# Care\n\nDescale it monthly.\n", "Descale it monthly."
    )
    yield Awkward("no-suffix", f"<!-- made by a tool -->\n{head}<p>three years</p>".encode(), "three years")


def _tables() -> Iterator[Awkward]:
    yield Awkward(
        "quoted.csv", b'name,note\nkettle,"two\nlines, and a comma"\n', "note: two lines, and a comma"
    )
    wide = ";".join(f"c{n}" for n in range(300)), ";".join(f"v{n}" for n in range(300))
    yield Awkward("wide.csv", "\n".join(("id;" + wide[0], "K-7;" + wide[1])).encode(), "c299: v299")
    yield Awkward("sheet.csv", "sep=;\r\nName;Größe\r\nKessel;42\r\n".encode("utf-16"), "Größe: 42")
    yield Awkward("deep.json", json.dumps({"a": [{"b": {"c": "three years"}}]}).encode(), "three years")
    yield Awkward("broken.json", b'{"warranty": "three years", ', "three years")
    yield Awkward("lines.jsonl", b'{"a": "one"}\nnot json\n{"a": "three years"}\n', "three years")


def _zip(**parts: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in parts.items():
            opened.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return out.getvalue()


def docx(body: str, **more: str) -> bytes:
    """A Word document of that body."""
    names = (
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    )
    styles = (
        f'<w:styles {names}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style></w:styles>'
    )
    document = f"<w:document {names}><w:body>{body}</w:body></w:document>"
    parts = {key: f"<w:{key} {names}>{text}</w:{key}>" for key, text in more.items()}
    return _zip(
        word__document_dot_xml=document,
        word__styles_dot_xml=styles,
        **{f"word__{key}_dot_xml": text for key, text in parts.items()},
    )


def pptx(*slides: str) -> bytes:
    """A presentation of those slides, in the reverse order of their files' names."""
    a, r = "http://schemas.openxmlformats.org/drawingml/2006/main", "http://schemas.openxmlformats.org"
    p, rel = f"{r}/presentationml/2006/main", f"{r}/officeDocument/2006/relationships"
    names = f'xmlns:a="{a}" xmlns:p="{p}" xmlns:r="{rel}"'
    count = len(slides)
    ids = "".join(f'<p:sldId id="{256 + n}" r:id="rId{n}"/>' for n in range(count))
    links = "".join(f'<Relationship Id="rId{n}" Target="slides/slide{count - n}.xml"/>' for n in range(count))
    shapes = (f"<p:sp><p:txBody>{text}</p:txBody></p:sp>" for text in slides)
    return _zip(
        ppt__presentation_dot_xml=f"<p:presentation {names}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        ppt___rels__presentation_dot_xml_dot_rels=f'<Relationships xmlns="{r}/package">{links}</Relationships>',
        **{
            f"ppt__slides__slide{count - n}_dot_xml": f"<p:sld {names}>{shape}</p:sld>"
            for n, shape in enumerate(shapes)
        },
    )


def _run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def _office() -> Iterator[Awkward]:
    heading = f'<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr>{_run("Garantie")}</w:p>'
    yield Awkward(
        "styles.docx", docx(f"{heading}<w:p>{_run('Drei')}{_run(' Jahre')}</w:p>"), "Garantie: Drei Jahre"
    )
    tracked = f"<w:p>{_run('It is ')}<w:del><w:r><w:delText>two</w:delText></w:r></w:del><w:ins>{_run('three')}</w:ins></w:p>"
    yield Awkward("tracked.docx", docx(tracked), "It is three")
    cells = "".join(f"<w:tc><w:p>{_run(text)}</w:p></w:tc>" for text in ("Kettle", "39"))
    yield Awkward("table.docx", docx(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"), "| Kettle | 39 |")
    box = f"<w:txbxContent><w:p>{_run('In the box')}</w:p></w:txbxContent>"
    twice = f"<w:p><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    yield Awkward("box.docx", docx(twice), "In the box")
    yield Awkward(
        "notes.docx",
        docx(
            f"<w:p>{_run('See')}</w:p>",
            footnotes=f"<w:footnote><w:p>{_run('At the foot')}</w:p></w:footnote>",
        ),
        "footnotes: At the foot",
    )
    words = [f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("First", "Second, three years")]
    yield Awkward("order.pptx", pptx(*words), "slide 2: Second, three years")
    yield Awkward("unnamed", docx(f"<w:p>{_run('three years')}</w:p>"), "three years")


def _mail() -> Iterator[Awkward]:
    body = base64.b64encode("Die Garantie beträgt drei Jahre.".encode()).decode()
    head = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nFrom: a@example.com\nMIME-Version: 1.0\n"
    kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n"
    yield Awkward("base64.eml", f"{head}{kind}\n{body}\n".encode(), "drei Jahre")
    quoted = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n"
    yield Awkward("quoted.eml", f"{head}{quoted}\ngr=F6=DFer als =\n=FCblich\n".encode(), "größer als üblich")
    page = "Content-Type: text/html; charset=utf-8\n"
    yield Awkward("page.eml", f"{head}{page}\n<p>three <b>years</b></p>\n".encode(), "three years")
    yield Awkward("subject.eml", f"{head}\nbody\n".encode(), "Grüße")
    box = "".join(f"From a@b Mon Jan 1 00:00:0{n} 2024\n{head}\nmessage {n} here\n\n" for n in range(3))
    yield Awkward("box.mbox", box.encode(), "message 2 here")


def _named_wrongly() -> Iterator[Awkward]:
    yield Awkward("report.xls", b"<html><table><tr><td>Kettle</td><td>39</td></tr></table></html>", "Kettle")
    yield Awkward("list.xls", b"name\tprice\nkettle\t39\n", "price: 39")
    sheet = (
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" '
        'xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="A"><Table>'
        "<Row><Cell><Data>name</Data></Cell><Cell><Data>price</Data></Cell></Row>"
        '<Row><Cell ss:Index="2"><Data>39</Data></Cell></Row></Table></Worksheet></Workbook>'
    )
    yield Awkward("2003.xls", sheet.encode(), "price: 39")
    yield Awkward("letter.doc", rb"{\rtf1\ansi three \b years\b0}", "three years")
    yield Awkward("page.doc", b"<html><body><p>three years</p></body></html>", "three years")
    yield Awkward("word.txt", docx(f"<w:p>{_run('three years')}</w:p>"), "three years")
    yield Awkward("page.pdf", b"<html><p>Error 404</p></html>", reason="is no PDF")


def _unreadable() -> Iterator[Awkward]:
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    yield Awkward("old.doc", old + "WordDocument".encode("utf-16-le"), reason="old format")
    yield Awkward("locked.docx", old + "EncryptedPackage".encode("utf-16-le"), reason="password")
    yield Awkward("some.zip", _zip(a="x"), reason="archive (zip)")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as opened:
        opened.addfile(tarfile.TarInfo("a"))
    yield Awkward("some.tar", packed.getvalue(), reason="archive (tar)")
    yield Awkward("some.gz", gzip.compress(b"x"), reason="gzip")
    yield Awkward("some.bz2", bz2.compress(b"x"), reason="bzip2")
    yield Awkward("film.mp4", b"\0\0\0\x20ftypisom" + bytes(64), reason="film")
    yield Awkward("voice.wav", b"RIFF\0\0\0\0WAVEfmt " + bytes(64), reason="sound")
    yield Awkward("photo.heic", b"\0\0\0\x20ftypheic" + bytes(64), reason="HEIC")
    yield Awkward("program", b"\x7fELF" + bytes(64), reason="program")
    yield Awkward("noise.bin", bytes(range(256)) * 8, reason="binary")
    yield Awkward("empty.txt", b"", reason="no text")
    yield Awkward("cut.docx", docx("<w:p/>")[:200], reason="was cut short")
    yield Awkward("cut.xlsx", b"PK\x03\x04" + bytes(60), reason="was cut short")
    yield Awkward("book.epub", _zip(mimetype="application/epub+zip"), reason="is no EPUB")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.awkward_files", description=__doc__)
    parser.add_argument("--keep", type=Path, help="write the files into this folder")
    keep = parser.parse_args().keep
    outcomes = [outcome(file) for file in files()]
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for one in outcomes:
            (keep / one.file.name).write_bytes(one.file.data)
    table = Table("file", "outcome", "said")
    for one in outcomes:
        table.add_row(one.file.name, one.verdict, " ".join(one.said.split())[:48])
    Console().print(table)
    right = sum(one.verdict == "right" for one in outcomes)
    wrong = [one.file.name for one in outcomes if one.verdict == "silently wrong"]
    print(f"{right} of {len(outcomes)} right, {len(wrong)} silently wrong {' '.join(wrong)}".rstrip())
    return 1 if wrong or right < LEAST else 0


if __name__ == "__main__":
    sys.exit(main())
