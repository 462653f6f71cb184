"""What a row of a table says alone: by the names above it, merged or in two rows, wherever the table begins and ends."""

from __future__ import annotations

import io
import zipfile

import pytest

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.parsing.formats import parse
from intellirouter.roles.rag_manager.parsing.grid import Merged, Row, blocks
from scripts.awkward_files import docx


@pytest.mark.parametrize(
    ("rows", "merged", "said"),
    [
        pytest.param(
            [["Region", "2023", "", "2024"], ["", "Q1", "Q2", "Q1"], ["North", "10", "20", "30"]],
            [((0, 1), (0, 2)), ((0, 0), (1, 0))],
            ["Region: North; 2023 Q1: 10; 2023 Q2: 20; 2024 Q1: 30"],
            id="names in two rows",
        ),
        pytest.param(
            [["Floor", "Room"], ["First", "101"], ["", "102"], ["Second", "201"]],
            [((1, 0), (2, 0))],
            ["Floor: First; Room: 101", "Floor: First; Room: 102", "Floor: Second; Room: 201"],
            id="merged down",
        ),
        pytest.param(
            [["Note", "Price"], ["see below", ""], ["kettle", "39"]],
            [((1, 0), (1, 1))],
            ["Note: see below", "Note: kettle; Price: 39"],
            id="merged across a row",
        ),
        pytest.param(
            [["Name", "Age"], ["Ada", "36"], [], ["Towns"], ["City", "Population"], ["Ulm", "126 000"]],
            [],
            ["Name: Ada; Age: 36", "Towns", "City: Ulm; Population: 126 000"],
            id="another table under its title",
        ),
        pytest.param(
            [["Name", "Age"], ["Ada", "36"], [], ["Bob", "41"], [], ["unknown", "old"]],
            [],
            ["Name: Ada; Age: 36", "Name: Bob; Age: 41", "Name: unknown; Age: old"],
            id="an empty row between",
        ),
        pytest.param(
            [["2024-01-01", "12.5", "ok"], ["2024-01-02", "13.5", "bad"]],
            [],
            ["2024-01-01; 12.5; ok", "2024-01-02; 13.5; bad"],
            id="no names at all",
        ),
        pytest.param(
            [["City", "2023", "2024"], ["Ulm", "1", "2"]], [], ["City: Ulm; 2023: 1; 2024: 2"], id="years are names"
        ),
        pytest.param(
            [["# by ann"], ["# of May"], ["name", "price"], ["kettle", "39"]],
            [],
            ["# by ann", "# of May", "name: kettle; price: 39"],
            id="lines above",
        ),
        pytest.param([["city"], ["Ulm"], ["Bonn"]], [], ["city: Ulm", "city: Bonn"], id="one column"),
        pytest.param([["only", "names"]], [], ["only; names"], id="nothing below"),
    ],
)  # fmt: skip
def test_a_row_says_what_its_columns_are_called(
    rows: list[Row], merged: list[Merged], said: list[str]
) -> None:
    assert [block.text for block in blocks(rows, "S", merged)] == said


def test_merged_cells_of_a_workbook() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    pack = "http://schemas.openxmlformats.org/package/2006"
    rows = ((None, "Floor", "Room"), (None, "First", "101"), (None, None, "102"))
    cells = "".join(
        f'<row r="{3 + y}">'
        + "".join(
            f'<c r="{"ABC"[x]}{3 + y}" t="inlineStr"><is><t>{text}</t></is></c>'
            for x, text in enumerate(row)
            if text
        )
        + "</row>"
        for y, row in enumerate(rows)
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{pack}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
            f'relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        )
        for place, target, type_ in (
            ("_rels/.rels", "xl/workbook.xml", "officeDocument"),
            ("xl/_rels/workbook.xml.rels", "s.xml", "worksheet"),
        ):
            book.writestr(
                place,
                f'<Relationships xmlns="{pack}/relationships"><Relationship Id="r1" Type="{rel}/{type_}" Target="{target}"/></Relationships>',
            )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets><sheet name="House" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/s.xml",
            f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData><mergeCells><mergeCell ref="B4:B5"/></mergeCells></worksheet>',
        )
    _, found = parse("a.xlsx", out.getvalue())
    assert [(block.text, block.location, block.row) for block in found] == [
        ("Floor: First; Room: 101", "House", 4),
        ("Floor: First; Room: 102", "House", 5),
    ]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", "Export of May\nname;price\nkettle;39,90\ntap;5,10\n", ["Export of May", "name: kettle; price: 39,90", "name: tap; price: 5,10"]),
        ("a.csv", "said\n\"well, perhaps\"\nno\n", ["said: well, perhaps", "said: no"]),
    ],
)  # fmt: skip
def test_a_list_with_lines_above_it(name: str, data: str, said: list[str]) -> None:
    assert [block.text for block in parse(name, data.encode())[1]] == said


def test_what_begins_a_sentence_with_from_begins_no_message() -> None:
    box = (
        b"From - Mon Jan  1 00:00:00 2024\nSubject: one\n\nhello\n\nFrom the beginning, all was well.\n\n"
        b"From - Mon Jan  1 00:00:01 2024\nSubject: two\n\nworld\n"
    )
    found = parse("a.mbox", box)[1]
    assert [block.text.strip() for block in found] == [
        "Subject: one",
        "hello\n\nFrom the beginning, all was well.",
        "Subject: two",
        "world",
    ]
    with pytest.raises(UnsupportedMediaType, match="no mbox"):
        parse("a.mbox", b"From the beginning, all was well.\n\n")


def test_a_subject_written_as_it_is_and_a_signature_that_says_nothing() -> None:
    raw = b"Subject: Gr\xfc\xdfe\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=B\n\n--B\n\nThe code.\n--B\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\n\x30\x82\n--B--\n"
    title, found = parse("a.eml", raw)
    assert title == "Grüße"
    assert [block.text.strip() for block in found] == ["Subject: Grüße", "The code."]


def test_a_cell_of_a_page_that_spans_rows_stands_in_each() -> None:
    page = (
        b"<table><thead><tr><th rowspan=2>Floor</th><th colspan=2>Rooms</th></tr><tr><th>No</th><th>Phone</th></tr></thead>"
        b"<tr><td rowspan=2>First</td><td>101</td><td>4711</td></tr><tr><td>102</td><td>4712</td></tr>"
        b"<tr><td>Second<td>201<td>4713<tr><td colspan=3>as of May</table>"
    )
    (block,) = parse("a.html", page)[1]
    assert [line.strip(" |") for line in block.text.strip().splitlines()] == [
        "Floor | Rooms | Rooms",
        "Floor | No | Phone",
        "First | 101 | 4711",
        "First | 102 | 4712",
        "Second | 201 | 4713",
        "as of May",
    ]
    within = b"<table><tr><td rowspan=2>Third</td><form><td>301</td></form></tr><tr><td>302</td></tr></table>"
    text = "".join(block.text for block in parse("a.html", within)[1])
    assert (text.count("Third"), "301" in text, "302" in text) == (2, True, True)


def test_a_merged_cell_of_a_document_stands_in_each_of_its_rows() -> None:
    def cell(text: str, form: str = "") -> str:
        return f"<w:tc><w:tcPr>{form}</w:tcPr><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"

    rows = (
        cell("Floor") + cell("Rooms", '<w:gridSpan w:val="2"/>'),
        cell("First", '<w:vMerge w:val="restart"/>') + cell("101") + cell("4711"),
        cell("", "<w:vMerge/>") + cell("102") + cell("4712"),
        cell("Second") + cell("201", '<w:gridSpan w:val="2"/>'),
    )
    (block,) = parse("a.docx", docx(f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"))[1]
    assert [line.strip(" |") for line in block.text.strip().splitlines()] == [
        "Floor | Rooms | Rooms",
        "First | 101 | 4711",
        "First | 102 | 4712",
        "Second | 201",
    ]
