"""Awkward files, continued: what offices and programs of mail write beside the text, and lists of unusual making."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping

import pypdf
from pypdf.annotations import FreeText
from pypdf.generic import DictionaryObject, NameObject, StreamObject

Said = tuple[str, bytes, str, str]
"""A file's name and bytes, what it says where it is read, else the reason for which it is refused."""

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
_MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"


def parts() -> Iterator[Said]:
    """All of them."""
    yield from _sheets()
    yield from _papers()
    yield from _letters()
    yield from _lists()
    yield from _refused()


def packed(entries: Mapping[str, str | bytes]) -> bytes:
    """An archive of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in entries.items():
            opened.writestr(name, text)
    return out.getvalue()


def xlsx(rows: str, formats: tuple[str, ...] = (), more: Mapping[str, str] | None = None) -> bytes:
    """A workbook of one sheet; cells of style `n` have the `n`th format, from 1."""
    codes = "".join(f'<numFmt numFmtId="{164 + n}" formatCode="{code}"/>' for n, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{164 + n}"/>' for n in range(len(formats)))
    links = "".join(f'<Relationship Id="c{n}" Target="../{name}"/>' for n, name in enumerate(more or ()))
    return packed(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" Type="{_LINKS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
            "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{codes}</numFmts><cellXfs><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>',
            "xl/worksheets/_rels/sheet1.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{links}</Relationships>',
            **{f"xl/{name}": text for name, text in (more or {}).items()},
        }
    )


def _row(number: int, *cells: str) -> str:
    """Cells as texts, as numbers with a style (`0.19 1`), or as formulas."""
    told = []
    for place, cell in zip("ABCDEFG", cells, strict=False):
        value, _, style = cell.partition(" ")
        if cell.startswith("="):
            told.append(f'<c r="{place}{number}"><f>{cell[1:]}</f></c>')
        elif style.isdecimal():
            told.append(f'<c r="{place}{number}" s="{style}"><v>{value}</v></c>')
        else:
            told.append(f'<c r="{place}{number}" t="inlineStr"><is><t>{cell}</t></is></c>')
    return f'<row r="{number}">{"".join(told)}</row>'


def _sheets() -> Iterator[Said]:
    head = _row(1, "Item", "Value")
    for name, value, code, said in (
        ("percent", "0.19", "0%", "19%"),
        ("tenths-of-percent", "0.345", "0.0%", "34.5%"),
        ("euro", "1234.5", "#,##0.00\\ &quot;€&quot;", "1234.5 €"),
        ("dollar", "-99", "[$$-409]#,##0", "-$99"),
        ("unit", "7", "0.0&quot; kg&quot;", "7 kg"),
        ("thousands", "2500000", "#,##0,,&quot; M&quot;", "2.5 M"),
        ("postcode", "1234", "00000", "01234"),
    ):
        yield f"{name}.xlsx", xlsx(head + _row(2, "Kettle", f"{value} 1"), (code,)), f"Value: {said}", ""
    yield "unworked.xlsx", xlsx(head + _row(2, "Sum", "=A1*21")), "Value: =A1*21", ""
    comment = f'<comments xmlns="{_MAIN}"><commentList><comment ref="B2"><text><t>before tax</t></text></comment></commentList></comments>'
    more = {"comments1.xml": comment}
    yield "remark.xlsx", xlsx(head + _row(2, "Kettle", "5 0"), more=more), "S, comments: B2: before tax", ""
    names = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
        for prefix in ("office", "table", "text")
    )
    cells = '<table:table-cell office:value-type="string"><text:p>VAT</text:p></table:table-cell>' * 2
    told = '<table:table-cell office:value-type="percentage" office:value="0.19" table:number-columns-repeated="2"><text:p>19 %</text:p></table:table-cell>'
    content = f'<office:document-content {names}><office:body><office:spreadsheet><table:table table:name="T"><table:table-row>{cells}</table:table-row><table:table-row>{told}</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>'
    manifest = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    yield (
        "percent.ods",
        packed({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest}),
        "VAT: 19 %; VAT: 19 %",
        "",
    )


def _papers() -> Iterator[Said]:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    above = f'<w:hdr xmlns:w="{word}"><w:p><w:r><w:t>Valid until 2031</w:t></w:r></w:p></w:hdr>'
    power = f'<m:oMath xmlns:m="{_MATH}"><m:r><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>'
    body = f'<w:document xmlns:w="{word}"><w:body><w:p>{power}</w:p></w:body></w:document>'
    series = "".join(
        f"<c:{kind}><c:strCache>{''.join(f'<c:pt><c:v>{value}</c:v></c:pt>' for value in values)}</c:strCache></c:{kind}>"
        for kind, values in (("tx", ["Sales"]), ("cat", ["Q1", "Q2"]), ("val", ["19.25", "21.75"]))
    )
    chart = f'<c:chartSpace xmlns:c="{_CHART}"><c:ser>{series}</c:ser></c:chartSpace>'
    entries = {"word/document.xml": body, "word/header1.xml": above, "word/charts/chart1.xml": chart}
    for name, said in (
        ("header", "header: Valid until 2031"),
        ("power", "E=mc^2"),
        ("chart", "chart: Sales: Q1: 19.25; Q2: 21.75"),
    ):
        yield f"{name}.docx", packed(entries), said, ""
    yield (
        "hyphen.pdf",
        _pdf("(The war-) Tj T* (ranty of a well-known) Tj T* (kettle, well-) Tj T* (known here.) Tj"),
        "warranty of a well-known\nkettle, well-known",
        "",
    )
    yield "note.pdf", _pdf("(Cover) Tj", note="before tax"), "page 1, notes: before tax", ""
    yield (
        "attached.pdf",
        _pdf("(Cover) Tj", file=b"The secret number is 4711."),
        "attachment facts.txt: The secret number is 4711.",
        "",
    )


def _pdf(words: str, note: str = "", file: bytes = b"") -> bytes:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(300, 300)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = StreamObject()
    stream.set_data(f"BT /F1 12 Tf 14 TL 20 250 Td {words} ET".encode())
    page[NameObject("/Contents")] = writer._add_object(stream)  # noqa: SLF001  it has no other way to draw
    if note:
        writer.add_annotation(0, FreeText(text=note, rect=(10, 10, 90, 90)))
    if file:
        writer.add_attachment("facts.txt", file)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _letters() -> Iterator[Said]:
    head = "Subject: S\nFrom: a@example.com\nMIME-Version: 1.0\n"
    event = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Board\nLOCATION:Room Sat\n urn\nDESCRIPTION:Pens\\, please\nEND:VEVENT\nEND:VCALENDAR\n"
    several = f"{head}Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n"
    yield (
        "invitation.eml",
        f"{several}Come\n--b\nContent-Type: text/calendar\n\n{event}\n--b--\n".encode(),
        "LOCATION: Room Saturn",
        "",
    )
    page = "<p>The true offer, which stands in no other part of this mail, is 606 euros for each kettle until the end of May, then seven.</p>"
    for name, plain in (("empty", "\n"), ("stub", "Use HTML.\n")):
        yield (
            f"{name}-plain.eml",
            f"{several}{plain}--b\nContent-Type: text/html\n\n{page}\n--b--\n".encode(),
            "606 euros",
            "",
        )
    inline = f"{head}Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nFirst\n"
    yield (
        "two-parts.eml",
        f"{inline}--b\nContent-Type: text/html\n\n{page}\n--b--\n".encode(),
        "606 euros",
        "",
    )
    yield (
        "flowed.eml",
        f"{head}Content-Type: text/plain; format=flowed\n\nThis is a long \nline.\n".encode(),
        "a long line.",
        "",
    )
    yield (
        "file-alone.eml",
        f'{head}Content-Type: text/csv; name="p.csv"\n\nname,price\nkettle,39\n'.encode(),
        "price: 39",
        "",
    )
    report = f"{head}Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; lost@example.com\n--b--\n"
    yield "bounced.eml", report.encode(), "lost@example.com", ""
    outlook = f'{head}Content-Type: application/ms-tnef; name="winmail.dat"\nContent-Transfer-Encoding: base64\n\neJ8+IgEA\n'
    yield "outlook.eml", outlook.encode(), "winmail.dat, not read: it is what Outlook makes", ""
    yield "event.ics", event.encode(), "DESCRIPTION: Pens, please", ""
    yield (
        "contact.vcf",
        b"BEGIN:VCARD\nFN;ENCODING=QUOTED-PRINTABLE:J=C3=BCrgen\nEND:VCARD\n",
        "FN: Jürgen",
        "",
    )


def _lists() -> Iterator[Said]:
    yield "inches.tsv", b'name\tsize\nscreen\t"27\npipe\t2\n', "name: pipe; size: 2", ""
    yield "escaped.csv", b'name,note,n\nk,"a \\"b\\", c",7\n', 'note: a "b", c; n: 7', ""
    yield "escapes.jsonl", b'{"fehler": "gr\\u00f6\\u00dfer"}\n', "größer", ""
    yield "ligature.txt", "The o\ufb03ce \ufb01nds it.".encode(), "The office finds it.", ""
    yield (
        "two-programs.log",
        "Größe eins, übel\n".encode() * 9 + "Größe zwei\n".encode("cp1252"),
        "Größe zwei",
        "",
    )
    yield "short-dos.txt", "Größe: schön, übel\r\n".encode("cp850"), "Größe: schön, übel", ""
    yield "short-mac.txt", "Größe: schön, übel\r".encode("mac_roman"), "Größe: schön, übel", ""
    yield "foot.rtf", rb"{\rtf1\ansi Text{\footnote At the foot} on}", "At the foot", ""
    shown = {"data": {"text/html": "<table><tr><td>161</td></tr></table>"}}
    cells = [{"cell_type": "code", "source": "df", "outputs": [shown]}]
    yield "frame.ipynb", json.dumps({"cells": cells}).encode(), "161", ""


def _refused() -> Iterator[Said]:
    yield "winmail.dat", b"\x78\x9f\x3e\x22" + bytes(60), "", "TNEF"
    for name, program in (("a.pages", "Pages"), ("a.numbers", "Numbers"), ("a.key", "Keynote")):
        yield name, packed({"Index/Document.iwa": b"\0"}), "", f"Apple's {program}"
    yield "sealed.p7m", b"0\x82\x01\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03" + bytes(60), "", "S/MIME"
    yield "book.mobi", bytes(60) + b"BOOKMOBI" + bytes(60), "", "MOBI"
