"""Files of many kinds: what is in them is read, with where it stands; what is not read is refused with the true reason."""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import IntelliRouterError, UnsupportedMediaType
from intellirouter.roles.rag_manager.parsing.formats import parse

OFFICE = "urn:oasis:names:tc:opendocument:xmlns"


def archive(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, text in files.items():
            opened.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return out.getvalue()


def opendocument(body: str) -> bytes:
    names = " ".join(f'xmlns:{one}="{OFFICE}:{one}:1.0"' for one in ("office", "text", "table"))
    drawing = f'xmlns:draw="{OFFICE}:drawing:1.0"'
    return archive(
        content_dot_xml=f"<office:document-content {names} {drawing}><office:body>{body}</office:body></office:document-content>"
    )


def mail(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "ann@example.com", "bob@example.com"
    message.set_content(text, cte="base64")
    return message


def with_attachments() -> bytes:
    message = mail("Kettle", "Die Größe ist 42.")
    message.add_attachment(b"name;price\nkettle;39\n", maintype="text", subtype="csv", filename="prices.csv")
    message.add_attachment(
        "Гарантия три года".encode("koi8-r"),
        maintype="text",
        subtype="plain",
        filename="a.txt",
        params={"charset": "koi8-r"},
    )
    message.add_attachment(mail("Inner", "The inner text."))
    message.add_attachment(b"\0\1\2", maintype="application", subtype="octet-stream", filename="odd.bin")
    return message.as_bytes()


HTML_MAIL = b"Subject: Page\nContent-Type: text/html; charset=big5\n\n" + "<p>這是保固的說明</p>".encode(
    "big5"
)
RTF = rb"{\rtf1\ansi\ansicpg1251 \b Bold\b0  \'cf\'f0\'e8\'e2\'e5\'f2 \u8364? end\par next}"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Plan\n", "Words."]},
        {
            "cell_type": "code",
            "source": "6 * 7",
            "outputs": [{"data": {"text/plain": ["42"], "image/png": "AAAA"}}],
        },
    ]
}
BOOK = archive(
    **{
        "META-INF__container_dot_xml": '<container xmlns="c"><rootfiles><rootfile full-path="O/p.opf"/></rootfiles></container>',
        "O__p_dot_opf": '<package xmlns="p" xmlns:dc="d"><metadata><dc:title>Book</dc:title></metadata><manifest><item id="b" href="b.xhtml"/>'
        '<item id="a" href="a%201.xhtml"/></manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
        "O__a 1_dot_xhtml": "<html><body><p>First words.</p></body></html>",
        "O__b_dot_xhtml": "<html><body><h1>Second</h1><p>More words.</p></body></html>",
    },
)
ODT = opendocument(
    '<office:text><text:h text:outline-level="1">Guide</text:h><text:p>Two<text:s text:c="2"/>words <text:span>here</text:span>.</text:p>'
    "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><table:table><table:table-row><table:table-cell><text:p>a</text:p><text:p>c</text:p>"
    "</table:table-cell><table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table></office:text>"
)
ODP = opendocument(
    "<office:presentation><draw:page><text:p>First slide.</text:p></draw:page><draw:page><text:p>Next.</text:p></draw:page></office:presentation>"
)
SHEET = archive(
    mimetype="application/vnd.oasis.opendocument.spreadsheet",
    content_dot_xml=f'<office:document-content xmlns:office="{OFFICE}:office:1.0" xmlns:table="{OFFICE}:table:1.0" xmlns:text="{OFFICE}:text:1.0">'
    '<office:body><office:spreadsheet><table:table table:name="Prices"><table:table-row><table:table-cell office:value-type="string"><text:p>name</text:p>'
    '</table:table-cell><table:table-cell office:value-type="string"><text:p>price</text:p></table:table-cell></table:table-row><table:table-row>'
    '<table:table-cell office:value-type="string"><text:p>kettle</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="39">'
    "<text:p>39</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body></office:document-content>",
    **{
        "META-INF__manifest_dot_xml": '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    },
)


def pdf(password: str | None = None, owner: str = "o") -> bytes:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    font = pypdf.generic.DictionaryObject(
        {
            pypdf.generic.NameObject(k): pypdf.generic.NameObject(v)
            for k, v in {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}.items()
        }
    )
    fonts = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/F1"): writer._add_object(font)})
    page[pypdf.generic.NameObject("/Resources")] = pypdf.generic.DictionaryObject(
        {pypdf.generic.NameObject("/Font"): fonts}
    )
    stream = pypdf.generic.StreamObject()
    stream.set_data(b"BT /F1 12 Tf 10 100 Td (The printed warranty) Tj ET")
    page[pypdf.generic.NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, owner, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


CALENDAR = b"""BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Meet\\, greet
  and\\nsing
DTSTART;TZID=Europe/Berlin:20250101T100000
BEGIN:VALARM
DESCRIPTION:Reminder
END:VALARM
END:VEVENT
END:VCALENDAR
"""
CARD = b"BEGIN:VCARD\nFN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:B=C3=A4rbel\nitem1.TEL:123\nEND:VCARD\n"


def test_what_a_calendar_says_of_a_zone_or_an_alarm_is_no_word_of_its_events() -> None:
    (event,) = parse("a.ics", CALENDAR)[1]
    assert "FREQ" not in event.text
    assert "1970" not in event.text
    assert "Reminder" not in event.text


def torn_beside_its_pages() -> bytes:
    """Remarks that were taken out and are still referred to, and a file that lies elsewhere."""
    name, of = pypdf.generic.NameObject, pypdf.generic
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf()))
    gone = of.IndirectObject(999, 0, writer)
    writer.pages[0][name("/Annots")] = of.ArrayObject([gone, of.NullObject()])
    away = of.DictionaryObject({name("/F"): of.TextStringObject("away.txt")})
    files = of.DictionaryObject({name("/Names"): of.ArrayObject([of.TextStringObject("away.txt"), away])})
    writer._root_object[name("/Names")] = of.DictionaryObject({name("/EmbeddedFiles"): files})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "holds"),
    [
        ("a.eml", with_attachments(), ["Die Größe ist 42.", "Subject: Kettle"]),
        ("a.eml", with_attachments(), ["attachment prices.csv: name: kettle; price: 39", "attachment message.eml: The inner text."]),
        ("a.eml", with_attachments(), ["attachment a.txt: Гарантия три года", "Attachment odd.bin, not read: it is a binary file of no known format"]),
        ("a.eml", HTML_MAIL, ["這是保固的說明"]),
        ("a.eml", b"Subject: Fwd\nContent-Type: message/rfc822\n\nSubject: Inner\n\nAll of it.\n", ["attachment message.eml: All of it."]),
        ("a.eml", b"Subject: " + b"=?utf-8?q?" + b"a" * 500_000 + b"?=\nTo: " + b"<a@b>," * 50_000 + b"\n\nStill read.\n", ["Still read."]),
        ("a.mbox", b"From a Mon\n" + with_attachments() + b"\n\nFrom b Tue\n" + HTML_MAIL, ["message 1: Kettle: Die Größe ist 42.", "message 2: Page: 這是保固的說明"]),
        ("a.rtf", RTF, ["Bold Привет € end\nnext"]),
        ("a.ipynb", json.dumps(NOTEBOOK).encode(), ["Plan: Words.", "Plan › cell 2: 6 * 7\n\n42"]),
        ("a.epub", BOOK, ["chapter 1: First words.", "Second: More words."]),
        ("a.odt", ODT, ["Guide: Two  words here.", "Guide: | a c | b |"]),
        ("a.odp", ODP, ["slide 1: First slide.", "slide 2: Next."]),
        ("a.ods", SHEET, ["Prices: name: kettle; price: 39"]),
        ("a.pdf", pdf(""), ["page 1: The printed warranty"]),
        ("no-name", pdf(), ["page 1: The printed warranty"]),
        ("a.pdf", torn_beside_its_pages(), ["page 1: The printed warranty", "Attachment away.txt, not read"]),
        ("a.ics", CALENDAR, ["SUMMARY: Meet, greet and\n", "DTSTART: 20250101T100000 (Europe/Berlin)"]),
        ("a.vcf", CARD, ["FN: Bärbel", "TEL: 123"]),
        ("a.json", b'{"half": "a letter \\ud800 here"}', ["a letter \ufffd here"]),
        ("a.csv", "name;city\nAnn;Köln\n".encode("cp1252"), ["name: Ann; city: Köln"]),
        ("a.csv", b"name\tcity\nAnn\tBonn\n", ["name: Ann; city: Bonn"]),
        ("a.csv", b"a|b\n1|2\n", ["a: 1; b: 2"]),
        ("a.csv", "sep=;\na;b\n1,5;2\n".encode("utf-16"), ["a: 1,5; b: 2"]),
        ("a.csv", b"name,age\nAda,36,more\n", ["name: Ada; age: 36; column 3: more"]),
        ("a.csv", b"Prices of 2024,,\nname,age,x\nAda,36,1\n", ["Prices of 2024", "name: Ada; age: 36; x: 1"]),
    ],
)  # fmt: skip
def test_what_is_in_it_is_read(name: str, data: bytes, holds: list[str]) -> None:
    _, blocks = parse(name, data)
    told = [f"{block.location}: {block.text.strip()}".removeprefix(": ") for block in blocks]
    assert [one for one in holds if one not in told and not any(one in other for other in told)] == []


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", pdf("secret"), "password"),
        ("a.pdf", b"no pdf", "is no PDF"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old format: save it as .docx"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "password"),
        ("a.zip", archive(a="x"), "archive"),
        ("a.odt", archive(a="x"), "is no OpenDocument"),
        ("a.epub", archive(a="x"), "is no EPUB"),
        ("a.xlsx", b"no", "is no Office document"),
        ("a.ipynb", b"{}", "is no notebook"),
        ("a.rtf", b"plain", "is no rich text"),
        ("a.eml", b"\x00\x01", "is no e-mail"),
        ("a.gz", b"\x1f\x8b\x08", "gzip"),
        ("a.mp3", b"ID3\3", "sound"),
        ("a.odt", archive(content_dot_xml="<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "entities"),
    ],
)
def test_what_is_not_read_is_refused_with_the_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=reason):
        parse(name, data)


MENU = "".join(f'<a href="/{n}">Menu item {n}</a>' for n in range(60))
BODY = "<h2>Warranty</h2><p>The warranty is three years.</p><ul><li>Keep the <a href=x>receipt</a>.</li></ul>"


@pytest.mark.parametrize(
    "around",
    [
        f"<header>{MENU}</header>{BODY}<footer>Imprint {MENU}</footer>",
        f"<div class=menu>{MENU}</div>{BODY}",
        f"<div id=main-nav>{MENU}</div><div class='content with-sidebar'>{BODY}</div><div class=sidebar>{MENU}</div>",
        f"<ul>{''.join(f'<li><a href=/>Menu item {n}</a>' for n in range(60))}</ul>{BODY}",
        f"<table><tr><td>{MENU}</td><td>{BODY}</td></tr></table>",
        f"<div role=navigation>{MENU}</div>{BODY}<div class=cookie-banner>We use cookies. Menu item</div>",
        f"<aside>{MENU}</aside><article><header><h1>Kettle</h1></header>{BODY}</article>",
        f"<div style='display: none'>Menu item</div>{BODY}",
    ],
)
def test_a_page_is_read_without_what_stands_around_it(around: str) -> None:
    _, blocks = parse("a.html", f"<html><body>{around}</body></html>".encode())
    text = "\n".join(block.text for block in blocks)
    assert "three years" in text
    assert "Keep the receipt." in text
    assert "Menu item" not in text


def test_a_page_of_nothing_but_links_is_read_whole() -> None:
    _, blocks = parse("a.html", f"<html><body><div>{MENU}</div></body></html>".encode())
    assert "Menu item 59" in blocks[0].text


@given(
    st.sampled_from(["a.html", "a.csv", "a.eml", "a.mbox", "a.rtf", "a.ipynb", "a.md", "a.json", "a.txt"]),
    st.binary(max_size=300),
)
def test_no_bytes_break_a_reader(name: str, data: bytes) -> None:
    try:
        parse(name, data)
    except IntelliRouterError as refused:
        assert refused.message
