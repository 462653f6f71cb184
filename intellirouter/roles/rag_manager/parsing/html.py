"""HTML as Markdown: headings, paragraphs, list items, table rows and preformatted text of what the page is about.

What stands around that is left out: what HTML itself says is navigation, what is hidden, what is called a menu, a footer or a
cookie notice, and lists of links. Where hardly anything would be left, the page is taken whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.charset import declared_in, decode
from intellirouter.roles.rag_manager.parsing.markdown import TITLE, sections

_SPACE = re.compile(r"\s+")
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_SKIPPED = frozenset(
    "script style noscript template svg nav button select datalist iframe object canvas dialog".split()
)
_PARAGRAPHS = frozenset(
    "p div section article main ul ol dl dd dt table blockquote figure figcaption details summary form "
    "header footer aside address fieldset caption body".split()
)
_CLOSES = {
    "li": ("li",),
    "tr": ("td", "th", "tr"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    **dict.fromkeys(
        ("p", "div", "ul", "ol", "table", "h1", "h2", "h3", "h4", "h5", "h6", "section", "blockquote", "pre"),
        ("p",),
    ),
}
"""What a start tag ends, where its own end tag was left out (HTML Standard, 13.1.2.4)."""
_SCOPES = frozenset("ul ol table dl div section article main aside body td th".split())
_OWNERS = frozenset("article main section blockquote td".split())
"""Within them a header, footer or aside belongs to the text (HTML Standard, the ARIA roles of these elements)."""
_AROUND = frozenset("header footer aside".split())
_ROLES = frozenset(
    "navigation banner contentinfo search menu menubar complementary dialog alertdialog toolbar".split()
)
_NAMES = re.compile(
    r"(?<![a-z])(?:nav|navbar|navigation|breadcrumbs?|footer|cookies?|consent|gdpr|advert\w*|ads?|promo|newsletter|"
    r"subscribe|share|sharing|social|pagination|pager|skip-?link|masthead|topbar|popup|modal|banner|sponsor\w*)(?![a-z])",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"(?<![a-z])(?:menu\w*|sidebar|sidenav|header|related|toolbar|toc|tabs?|links|widget)(?![a-z])",
    re.IGNORECASE,
)
_LIST_OF_LINKS, _SOME_LINKS, _MOST_DEPTH, _ENOUGH, _ENOUGH_WORDS = 0.8, 0.3, 200, 200, 5
_PROSE = 20
_CELLS, _ROW_GROUPS = frozenset(("td", "th")), frozenset(("thead", "tbody", "tfoot"))
_SHORT, _MOST_SPANNED = 200, 100
"""Characters of a cell that is written more than once, and how many rows or columns it may span."""
_BLOCKS = frozenset("div ul ol section table td dl p form".split())


@dataclass(slots=True, eq=False)
class _Node:
    tag: str
    called: str = ""
    role: str = ""
    hidden: bool = False
    children: list[_Node | str] = field(default_factory=list)
    size: int = 0
    linked: int = 0
    links: int = 0
    prose: int = 0
    """The longest piece of text in it that is in no link."""
    rows: int = 1
    columns: int = 1
    """That a cell spans."""


class _Tree(HTMLParser):
    """The page as a tree of bounded depth: what is deeper lies flat."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Node("html")
        self._open = [self.root]
        self.title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for closed in _CLOSES.get(tag, ()):
            self._close(closed, within=True)
        said = {name: value or "" for name, value in attrs}
        style = said.get("style", "").replace(" ", "").lower()
        node = _Node(
            tag,
            f"{said.get('class', '')} {said.get('id', '')}"[:500],
            said.get("role", "").lower(),
            "hidden" in said or "display:none" in style,
        )
        if tag in _CELLS:
            node.rows, node.columns = _span(said.get("rowspan", "")), _span(said.get("colspan", ""))
        if tag == "img" and len(said.get("alt", "").split()) > 2:
            node.children.append(said["alt"])
        self._open[-1].children.append(node)
        if tag not in _VOID and len(self._open) < _MOST_DEPTH:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        self._close(tag, within=False)

    def _close(self, tag: str, *, within: bool) -> None:
        """End the innermost open element of that name; with `within` not beyond what holds it."""
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return
            if within and self._open[place].tag in _SCOPES:
                return

    def handle_data(self, data: str) -> None:
        if self._open[-1].tag == "title":
            self.title = (self.title + data)[:TITLE]
        else:
            self._open[-1].children.append(data)


def read(data: bytes, charset: str = "") -> tuple[str, list[Block]]:
    """The page's title, and its blocks."""
    return of_text(decode(data, charset or declared_in(data)))


def of_text(text: str) -> tuple[str, list[Block]]:
    """The same of a page that is text already."""
    tree = _Tree()
    tree.feed(text)
    tree.close()
    _measure(tree.root)
    _spread(tree.root)
    chosen = "".join(_written(tree.root, whole=False))
    if len(chosen.split()) < _ENOUGH_WORDS:
        chosen = "".join(_written(tree.root, whole=True))
    title, blocks = sections(chosen)
    return " ".join(tree.title.split()) or title, blocks


def _measure(node: _Node) -> None:
    """How much text each element has, and how much of it in links."""
    for child in node.children:
        if isinstance(child, str):
            node.size += len(child.strip())
            node.prose = max(node.prose, len(child.strip()))
        elif child.tag not in _SKIPPED or child.tag == "nav":
            _measure(child)
            node.size += child.size
            node.linked += child.size if child.tag == "a" else child.linked
            node.links += (child.tag == "a") + child.links
            node.prose = max(node.prose, 0 if child.tag == "a" else child.prose)


def _spread(node: _Node) -> None:
    """Put a cell that spans rows into each of them, and names that span columns over each: a row is to say by itself what it is about."""
    if node.tag == "table":
        held: dict[int, tuple[int, _Node]] = {}
        for row in _rows(node):
            held = _spread_row(row, held)
    for child in node.children:
        if isinstance(child, _Node):
            _spread(child)


def _rows(table: _Node) -> Iterator[_Node]:
    for child in table.children:
        if isinstance(child, _Node) and child.tag == "tr":
            yield child
        elif isinstance(child, _Node) and child.tag in _ROW_GROUPS:
            yield from _rows(child)


def _spread_row(row: _Node, held: Mapping[int, tuple[int, _Node]]) -> dict[int, tuple[int, _Node]]:
    """`held` has by column in how many more rows a cell stands; what is then still held."""
    cells: list[_Node] = []
    left: dict[int, tuple[int, _Node]] = {}

    def place(cell: _Node, rows: int) -> None:
        if rows > 1 and cell.size <= _SHORT:
            left[len(cells)] = (rows - 1, cell)
        cells.append(cell)

    def those_held() -> None:
        while len(cells) in held:
            rows, cell = held[len(cells)]
            place(cell, rows)

    for cell in (child for child in row.children if isinstance(child, _Node) and child.tag in _CELLS):
        those_held()
        place(cell, cell.rows)
        if cell.size <= _SHORT:
            for _ in range(cell.columns - 1):
                place(cell if cell.tag == "th" else _Node(cell.tag), cell.rows)
    those_held()
    if cells:
        others = [child for child in row.children if not (isinstance(child, _Node) and child.tag in _CELLS)]
        row.children = [*cells, *others]
    return left


def _span(said: str) -> int:
    return min(int(said), _MOST_SPANNED) if said.isdecimal() and len(said) < 5 and int(said) else 1


def _around(node: _Node, *, owned: bool) -> bool:
    """Not of what the page is about."""
    if node.tag in ("body", "html", "main", "article"):
        return node.hidden
    if node.hidden or node.role in _ROLES or (node.tag in _AROUND and not owned):
        return True
    density = node.linked / node.size if node.size else 0.0
    if node.tag in _BLOCKS or node.tag in _AROUND:
        if _NAMES.search(node.called) and (density > _SOME_LINKS or node.size < _ENOUGH):
            return True
        if _PERHAPS.search(node.called) and density > _SOME_LINKS:
            return True
    return (
        not owned
        and node.tag in _BLOCKS
        and node.links > 3
        and node.prose < _PROSE
        and density > _LIST_OF_LINKS
    )


def _written(node: _Node, *, whole: bool, owned: bool = False, pre: bool = False) -> Iterator[str]:
    tag = node.tag
    if tag in _SKIPPED and not (whole and tag == "nav"):
        return
    if not whole and _around(node, owned=owned):
        if tag == "header":  # its words are the site's, but the heading may be the page's
            for named in _headings(node):
                yield from _written(named, whole=True)
        return
    owned = owned or tag in _OWNERS
    heading = len(tag) == 2 and tag[0] == "h" and tag[1].isdigit()
    if heading:
        text = " ".join("".join(_texts(node)).split())
        if text:
            yield f"\n\n{'#' * min(6, max(1, int(tag[1])))} {text}\n\n"
        return
    yield from _OPENING.get(tag, ("\n\n",) if tag in _PARAGRAPHS else ())
    for child in node.children:
        if isinstance(child, str):
            yield child if pre or tag == "pre" else _SPACE.sub(" ", child)
        else:
            yield from _written(child, whole=whole, owned=owned, pre=pre or tag == "pre")
    yield from _CLOSING.get(tag, ("\n\n",) if tag in _PARAGRAPHS else ())


_OPENING = {"pre": ("\n\n```\n",), "br": ("\n",), "li": ("\n- ",), "tr": ("\n| ",), "hr": ("\n\n",)}
_CLOSING = {"pre": ("\n```\n",), "td": (" | ",), "th": (" | ",)}


def _headings(node: _Node) -> Iterator[_Node]:
    for child in node.children:
        if isinstance(child, _Node):
            if child.tag in ("h1", "h2"):
                yield child
            else:
                yield from _headings(child)


def _texts(node: _Node) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, str):
            yield child
        elif child.tag not in _SKIPPED:
            yield from _texts(child)
