"""Every format by its own bytes, and hostile files that end nothing but their own process."""

from __future__ import annotations

import contextlib
import resource
from email.message import EmailMessage
from pathlib import Path

import pytest

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import formats
from intellirouter.roles.rag_manager.parsing.ocr import scale_of
from intellirouter.roles.rag_manager.parsing.run import ParseLimits, Parser

MARKDOWN = b"# Guide\n\nHello.\n\n## Use\n\n```\n# not a heading\n```\n\n| a | b |\n"


@pytest.mark.parametrize(
    ("name", "data", "title", "blocks"),
    [
        ("a.txt", "Zürich".encode(), "", [Block("Zürich")]),
        ("a.txt", "Zürich".encode("cp1252"), "", [Block("Zürich")]),
        ("a.txt", "Zürich".encode("utf-16"), "", [Block("Zürich")]),
        ("a.txt", b" ", "", [Block(" ")]),
        ("a.csv", b"name,age\nAda,36\n", "", [Block("name: Ada; age: 36", "", "table", "name: Ada; ", 2)]),
        ("a.json", b'[{"a": 1}]', "", [Block('{\n "a": 1\n}', "[0]", "code")]),
        ("a.json", b"{broken", "", [Block("{broken")]),
        ("a.jsonl", b'{"a": 1}\n', "", [Block('{"a": 1}', "line 1", "code")]),
    ],
)
def test_formats(name: str, data: bytes, title: str, blocks: list[Block]) -> None:
    assert formats.parse(name, data) == (title, blocks)


def test_markdown_by_heading() -> None:
    title, blocks = formats.parse("a.md", MARKDOWN)
    assert title == "Guide"
    assert [(block.text.strip(), block.location, block.kind) for block in blocks] == [
        ("Hello.", "Guide", "text"),
        ("```\n# not a heading\n```", "Guide › Use", "code"),
        ("| a | b |", "Guide › Use", "table"),
    ]


def test_html_drops_scripts_and_keeps_structure() -> None:
    page = b"<title>T</title><script>evil()</script><h1>Head</h1><p>One &amp; two</p><pre>x\n y</pre>"
    title, blocks = formats.parse("a.html", page)
    assert title == "T"
    assert [(block.text.strip(), block.location) for block in blocks] == [
        ("One & two", "Head"),
        ("```\nx\n y\n```", "Head"),
    ]


def test_a_damaged_attachment_hides_nothing_of_its_mail() -> None:
    mail = EmailMessage()
    mail["Subject"] = "The invoice"
    mail.set_content("It is attached; the sum is 300 euros.")
    mail.add_attachment(b"%PDF-1.7 cut", maintype="application", subtype="pdf", filename="bill.pdf")
    mail.add_attachment(b"PK\3\4 cut", maintype="application", subtype="octet-stream", filename="more.xlsx")
    _, blocks = formats.parse("a.eml", mail.as_bytes())
    text = "\n".join(block.text for block in blocks)
    assert "300 euros" in text
    assert "Attachment bill.pdf, not read: it is damaged or was cut short" in text
    assert "Attachment more.xlsx, not read: it is damaged or was cut short" in text


@pytest.mark.parametrize(
    ("name", "data", "limits", "says"),
    [
        ("a.bin", b"\0\1\2", ParseLimits(), "binary"),
        ("a.pdf", b"%PDF-1.7 nothing", ParseLimits(), "cut short: it cannot be read as a PDF.* save it anew"),
        ("a.docx", b"PK\3\4 nothing", ParseLimits(), "cut short: it cannot be read as an Office document"),
        ("a.eml", b"", ParseLimits(), "is empty"),
        ("big.txt", b"x" * 2_000_000, ParseLimits(output=1_000_000), "larger than"),
        ("../../etc/passwd.zip", b"PK\3\4\0\0", ParseLimits(), "archive"),
    ],
)
async def test_hostile_files_are_refused(
    tmp_path: Path, name: str, data: bytes, limits: ParseLimits, says: str
) -> None:
    file = tmp_path / "blob"
    file.write_bytes(data)
    async with contextlib.aclosing(Parser(limits)) as parser:
        with pytest.raises(InvalidRequest, match=says):
            await parser.parse(file, name)
        file.write_bytes(b"Next.")
        assert await parser.parse(file, "next.txt") == ("", [Block("Next.")])


async def test_a_file_too_large_for_the_memory_limit_ends_only_its_process(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    with file.open("wb") as sparse:
        sparse.truncate(2 << 30)
    async with contextlib.aclosing(Parser(ParseLimits(memory=512 << 20))) as parser:
        with pytest.raises(InvalidRequest, match="MiB"):
            await parser.parse(file, "zeros.txt")


async def test_a_reader_writes_nothing_even_when_it_falls(tmp_path: Path) -> None:
    """A core would hold the document."""
    file = tmp_path / "blob"
    file.write_text("A few words.")
    async with contextlib.aclosing(Parser(ParseLimits())) as parser:
        await parser.parse(file, "a.txt")
        assert parser._child is not None
        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            assert resource.prlimit(parser._child.pid, kind) == (0, 0)


async def test_a_long_text_comes_in_frames_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "blob"
    text = "\n\n".join(f"Paragraph {number} " + "word " * 50 for number in range(4_000))
    file.write_text(text)
    async with contextlib.aclosing(Parser(ParseLimits())) as parser:
        _, blocks = await parser.parse(file, "long.txt")
    assert len(blocks) > 5
    assert "".join(block.text for block in blocks) == text


async def test_one_process_reads_many_documents_however_large_its_parent_is(tmp_path: Path) -> None:
    held = bytearray(
        b"x" * (320 << 20)
    )  # more than a reader may hold and go on: what a child is started with is not its own
    parser = Parser(ParseLimits())
    readers = set()
    try:
        for number in range(3):
            file = tmp_path / f"{number}.txt"
            file.write_text("A few words.")
            await parser.parse(file, file.name)
            assert parser._child is not None
            readers.add(parser._child.pid)
    finally:
        await parser.aclose()
    assert len(readers) == 1
    assert len(held) > ParseLimits().memory // 4


@pytest.mark.parametrize(
    ("width", "height", "pixels"),
    [(612, 792, 2_550 * 3_300), (0, 0, 0), (1, 1, (300 / 72) ** 2), (10_000, 10_000, 40_000_000)],
)
def test_a_page_is_drawn_for_reading_with_300_dots_an_inch_and_never_beyond_its_bound(
    width: float, height: float, pixels: float
) -> None:
    scale = scale_of(width, height)
    assert width * scale * height * scale == pytest.approx(pixels)
