"""Numbers of a spreadsheet are read as it shows them, wherever the table begins, and with what stands beside them."""

from __future__ import annotations

import io
import zipfile

import pytest

from intellirouter.roles.rag_manager.parsing.formats import parse
from intellirouter.roles.rag_manager.parsing.number_formats import shown

OFFICE = "http://schemas.openxmlformats.org"
MAIN = f'xmlns="{OFFICE}/spreadsheetml/2006/main"'
KIND = f"{OFFICE}/officeDocument/2006/relationships"


@pytest.mark.parametrize(
    ("code", "number", "said"),
    [
        ("0%", 0.19, "19%"),
        ("0.00%", 0.1925, "19.25%"),
        ("+0.0%;-0.0%", 0.05, "+5%"),
        ("+0.0%;-0.0%", -0.05, "-5%"),
        ("#,##0.00\\ [$€-407]", 1234.5, "1234.5 €"),
        ("$#,##0_);($#,##0)", -3.0, "-$3"),
        ('_-* #,##0.00\\ "€"_-', 39.5, "39.5 €"),
        ('General" kg"', 3.0, "3 kg"),
        ("00000", 1234.0, "01234"),
        ('"ID-"0000', 7.0, "ID-0007"),
        ('#,##0,"k"', 2500.0, "2.5k"),
        ("[Red]0%", 1.0, "100%"),
    ],
)
def test_what_a_format_adds_to_a_number_is_told(code: str, number: float, said: str) -> None:
    tell = shown(code)
    assert tell is not None
    assert tell(number) == said


@pytest.mark.parametrize(
    "code", ["General", "0", "#,##0.00", "0.00E+00", "# ?/?", "yyyy-mm-dd", "[h]:mm", "@", ";;;"]
)
def test_what_the_number_alone_says_is_left_to_it(code: str) -> None:
    assert shown(code) is None


def related(kind: str, part: str) -> str:
    relation = f'<Relationship Id="rId1" Type="{KIND}/{kind}" Target="{part}"/>'
    return f'<Relationships xmlns="{OFFICE}/package/2006/relationships">{relation}</Relationships>'


def sheet(rows: str, comments: str = "") -> bytes:
    """A workbook of one sheet; the style 1 is a percentage."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{OFFICE}/package/2006/content-types"/>',
        "_rels/.rels": related("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{KIND}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": related("worksheet", "worksheets/sheet1.xml"),
        "xl/styles.xml": f'<styleSheet {MAIN}><cellXfs><xf numFmtId="0"/><xf numFmtId="9"/></cellXfs></styleSheet>',
        "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>",
        "xl/worksheets/_rels/sheet1.xml.rels": related("comments", "../comments1.xml"),
    }
    if comments:
        parts["xl/comments1.xml"] = f"<comments {MAIN}><commentList>{comments}</commentList></comments>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in parts.items():
            made.writestr(name, text)
    return out.getvalue()


def words(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


@pytest.mark.parametrize(("left", "right", "top"), [("A", "B", 1), ("C", "AA", 5)])
def test_a_cell_is_told_as_it_is_shown_wherever_the_table_begins(left: str, right: str, top: int) -> None:
    rows = (
        f'<row r="{top}">{words(f"{left}{top}", "name")}{words(f"{right}{top}", "share")}</row>'
        f'<row r="{top + 1}">{words(f"{left}{top + 1}", "x")}<c r="{right}{top + 1}" s="1"><v>0.19</v></c></row>'
        f'<row r="{top + 4}">{words(f"{left}{top + 4}", "y")}<c r="{right}{top + 4}"><f>1+1</f></c></row>'
    )
    _, blocks = parse(
        "a.xlsx", sheet(rows, f'<comment ref="{left}{top}"><text><t>Who asked?</t></text></comment>')
    )
    told = [block.text for block in blocks]
    assert told == ["name: x; share: 19%", "name: y; share: =1+1", f"{left}{top}: Who asked?"]
