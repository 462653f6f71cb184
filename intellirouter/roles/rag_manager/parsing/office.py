"""Word and PowerPoint as Office writes them since 2007 (ECMA-376): what a reader of the document sees, in order.

Of tracked changes the text as it would be accepted; notes at the foot, comments and what a speaker wrote come behind. Headers,
footers and the second form of what is there twice (`mc:Fallback`) are left out.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from xml.etree import ElementTree as ET  # see books.py

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.books import archive, read_xml, tag_of
from intellirouter.roles.rag_manager.parsing.markdown import sections

Parsed = tuple[str, list[Block]]
_UNSEEN = frozenset("del moveFrom Fallback instrText delText pPr rPr tblPr sectPr".split())
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "softHyphen": ""}
_MOST_SPANNED = 100
"""Columns that a cell may span."""
_FORMULAS = {"sSup": ("e", "^", "sup"), "sSub": ("e", "_", "sub"), "f": ("num", "/", "den")}
"""Of a formula (OMML), how two parts that stand one above the other are written in a line."""
_MOST_POINTS = 1_000
"""Of a series of a chart."""
_NOTES = ("footnotes", "endnotes", "comments")


def word(data: bytes) -> Parsed:
    """A `.docx`: sections by its headings."""
    opened = archive(data, "Office document (.docx)")
    body = _part(opened, "word/document.xml", ".docx").find("{*}body")
    levels = _levels(opened)
    title, blocks = sections("".join(_written(body, levels)) if body is not None else "")
    for kind in _NOTES:
        if f"word/{kind}.xml" in opened.namelist():
            notes = ["".join(_inline(note)).strip() for note in read_xml(opened.read(f"word/{kind}.xml"))]
            blocks += [Block(note, kind) for note in notes if note]
    blocks += [Block(text, place) for place, text in _around(opened)]
    for name in sorted(part for part in opened.namelist() if part.startswith("word/charts/chart")):
        blocks += chart(read_xml(opened.read(name)), "chart")
    return title, blocks


def _around(opened: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """What stands above and below the pages, each text once."""
    seen: set[str] = set()
    for name in sorted(opened.namelist()):
        kind = next((kind for kind in ("header", "footer") if name.startswith(f"word/{kind}")), "")
        if not kind or not name.endswith(".xml"):
            continue
        text = "\n".join(
            line for line in "".join(_inline(read_xml(opened.read(name)))).split("\n") if line.strip()
        )
        if text.strip() and text not in seen:
            seen.add(text)
            yield kind, text


def slides(data: bytes) -> Parsed:
    """A `.pptx`: its slides in their order, each with its notes."""
    opened = archive(data, "Office document (.pptx)")
    show = _part(opened, "ppt/presentation.xml", ".pptx")
    parts = targets(opened, "ppt/presentation.xml")
    blocks: list[Block] = []
    title = ""
    listed = (node for node in show.iter() if tag_of(node) == "sldId")
    for number, slide in enumerate(listed, 1):
        name = parts.get(value_of(slide, "id"), "")
        if name not in opened.namelist():
            continue
        place = f"slide {number}"
        blocks += [Block(text, place) for text in _shown(read_xml(opened.read(name)))]
        for other in targets(opened, name).values():
            if "notesSlide" in other and other in opened.namelist():
                blocks += [Block(text, f"{place}, notes") for text in _shown(read_xml(opened.read(other)))]
            elif "charts/chart" in other and other in opened.namelist():
                blocks += chart(read_xml(opened.read(other)), f"{place}, chart")
    return title, blocks


def kind_of(data: bytes) -> str:
    """The suffix of the Office or OpenDocument or EPUB file that an archive is; empty for another one."""
    try:
        with archive(data, "archive") as opened:
            names = set(opened.namelist())
            said = opened.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
    except (UnsupportedMediaType, zipfile.BadZipFile):
        return ""
    found = {"word/document.xml": ".docx", "ppt/presentation.xml": ".pptx", "xl/workbook.xml": ".xlsx"}
    forms = {"opendocument.text": ".odt", "presentation": ".odp", "spreadsheet": ".ods", "epub": ".epub"}
    return next(
        (suffix for name, suffix in found.items() if name in names),
        next((suffix for form, suffix in forms.items() if form in said), ""),
    )


def _part(opened: zipfile.ZipFile, name: str, suffix: str) -> ET.Element:
    if name not in opened.namelist():
        raise UnsupportedMediaType(f"is no Office document ({suffix}), despite its name.")
    return read_xml(opened.read(name))


def targets(opened: zipfile.ZipFile, part: str) -> dict[str, str]:
    """By relation id, the parts that a part refers to."""
    folder, name = posixpath.split(part)
    listed = f"{folder}/_rels/{name}.rels"
    if listed not in opened.namelist():
        return {}
    return {
        node.get("Id", ""): posixpath.normpath(posixpath.join(folder, node.get("Target", ""))).lstrip("/")
        for node in read_xml(opened.read(listed))
        if node.get("TargetMode") != "External"
    }


def _levels(opened: zipfile.ZipFile) -> dict[str, int]:
    """The heading level of each style that is one, whatever the style is called in the writer's language."""
    if "word/styles.xml" not in opened.namelist():
        return {}
    levels = {}
    for style in read_xml(opened.read("word/styles.xml")).iterfind("{*}style"):
        name = value_of(style.find("{*}name")).lower()
        outline = value_of(style.find("{*}pPr/{*}outlineLvl"))
        if name == "title":
            level = 1
        elif name.startswith("heading ") and name[8:].isdigit():
            level = int(name[8:])
        else:
            level = int(outline) + 1 if outline.isdigit() else 0
        if 1 <= level <= 9:
            levels[next((value for key, value in style.attrib.items() if key.endswith("styleId")), "")] = (
                level
            )
    return levels


def value_of(node: ET.Element | None, name: str = "val") -> str:
    """An attribute of some namespace; empty where there is none."""
    if node is None:
        return ""
    return next((value for key, value in node.attrib.items() if key.endswith(f"}}{name}")), "")


def _written(node: ET.Element, levels: dict[str, int]) -> Iterator[str]:
    """Paragraphs, headings and tables as Markdown."""
    for child in node:
        tag = tag_of(child)
        if tag == "p":
            text = "".join(_inline(child)).strip()
            level = levels.get(value_of(child.find("{*}pPr/{*}pStyle")), 0)
            listed = child.find("{*}pPr/{*}numPr") is not None
            if level and text:
                yield f"\n\n{'#' * min(6, level)} {' '.join(text.split())}\n\n"
            elif text:
                yield f"- {text}\n" if listed else f"\n{text}\n\n"
        elif tag == "tbl":
            yield "\n\n"
            above: list[str] = []
            for row in child.iter():
                if tag_of(row) == "tr":
                    above = _cells(row, above)
                    yield f"| {' | '.join(above)} |\n" if any(above) else ""
            yield "\n\n"
        elif tag not in _UNSEEN:
            yield from _written(child, levels)


def _cells(row: ET.Element, above: Sequence[str]) -> list[str]:
    """What stands in each column. A cell that is merged with the one above says the same; in the first row names go over all their columns."""
    cells: list[str] = []
    for cell in row:
        if tag_of(cell) in ("trPr", "tblPrEx"):
            continue
        text = " ".join("".join(_inline(cell)).split())
        merged = cell.find("{*}tcPr/{*}vMerge")
        if merged is not None and value_of(merged) != "restart" and len(cells) < len(above):
            text = above[len(cells)]
        wide = value_of(cell.find("{*}tcPr/{*}gridSpan"))
        span = min(int(wide), _MOST_SPANNED) if wide.isdecimal() and len(wide) < 5 else 1
        cells += [text, *[text if not above else ""] * (span - 1)]
    return cells


def _inline(node: ET.Element) -> Iterator[str]:
    for child in node:
        tag = tag_of(child)
        if tag == "t":
            yield child.text or ""
        elif tag in _FORMULAS:
            first, sign, second = _FORMULAS[tag]
            parts = (child.find(f"{{*}}{first}"), child.find(f"{{*}}{second}"))
            yield sign.join(_grouped("".join(_inline(part))) for part in parts if part is not None)
        elif tag in _BREAKS:
            yield _BREAKS[tag]
        elif tag == "txbxContent":
            yield f"\n{''.join(_inline(child))}\n"
        elif tag not in _UNSEEN:
            yield from _inline(child)
            yield "\n" if tag in ("p", "tr") else " " if tag in ("tc", "fld") else ""


def _shown(slide: ET.Element) -> Iterator[str]:
    """The texts of a slide's shapes, and its tables row by row; not its number, date and footer."""
    for shape in slide.iter():
        tag = tag_of(shape)
        if tag == "sp":
            holder = next((node.get("type", "") for node in shape.iter() if tag_of(node) == "ph"), "")
            text = "".join(_inline(shape)).strip()
            if text and holder not in ("sldNum", "dt", "ftr", "hdr", "sldImg"):
                yield text
        elif tag == "tbl":
            rows = (
                " | ".join(" ".join("".join(_inline(cell)).split()) for cell in row if tag_of(cell) == "tc")
                for row in shape
                if tag_of(row) == "tr"
            )
            yield "\n".join(f"| {row} |" for row in rows)


def _grouped(part: str) -> str:
    """A part of a formula in brackets, where it is more than one number or name."""
    part = part.strip()
    return part if part.isalnum() or not part else f"({part})"


def chart(root: ET.Element, place: str) -> Iterator[Block]:
    """A chart's series, as `name: category: value; …`: its numbers often stand nowhere else."""
    titles = (node for node in root.iter() if tag_of(node) == "title")
    title = " ".join(text.strip() for node in titles for text in _inline(node) if text.strip())
    for series in (node for node in root.iter() if tag_of(node) == "ser"):
        name = " ".join(_points(series, "tx"))
        names = _points(series, "cat") or _points(series, "xVal")
        values = _points(series, "val") or _points(series, "yVal")
        told = [
            f"{names[number]}: {value}" if number < len(names) else value
            for number, value in enumerate(values)
        ]
        if told:
            head = ": ".join(filter(None, (title, name)))
            yield Block(f"{head}: {'; '.join(told)}" if head else "; ".join(told), place, "table")


def _points(series: ET.Element, part: str) -> list[str]:
    found = (node.findtext("{*}v") or "" for node in series.iterfind(f"{{*}}{part}//{{*}}pt"))
    return list(islice(found, _MOST_POINTS))
