"""A chain as a picture (SVG 1.1), with what became of each step where a run is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from intellirouter.chains.drawing.marks import Mark
from intellirouter.chains.model import Chain, Step

WIDTH, HEIGHT, TOLD = 210, 40, 56
"""Of a step's box, without and with what a run says of it."""
GAP, PAD, HEAD = 34, 14, 24
MARGIN = 16
_CHARACTER = 6.6
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1c2733}.k{fill:#5b6b7b;font-size:11px}.w{fill:#5b6b7b;font-size:10px}"
    ".b{fill:#fff;stroke:#8896a5}.g{fill:#f6f8fa;stroke:#c4ced8}.a{stroke:#8896a5;fill:none}"
    ".done{fill:#e3f5e8;stroke:#2e8b57}.failed{fill:#fde7e7;stroke:#c0392b}"
    ".running{fill:#e6f0fd;stroke:#2f6fd0}.waiting{fill:#fff4dc;stroke:#c98a00}"
)


def svg(chain: Chain, marks: Mapping[str, Mark] | None = None, title: str = "") -> str:
    """The picture. `marks` are those of a run; `title` stands above, and is read out."""
    drawing = _Drawing(marks or {}, marks is not None)
    body = drawing.sized(chain.steps, "")
    head = title or f"{chain.name}, version {chain.version}"
    width = max(body.width, len(head) * _CHARACTER) + 2 * MARGIN
    parts = drawing.drawn(body, (width - body.width) / 2, MARGIN + HEAD)
    return framed(head, width, body.height + HEAD + 2 * MARGIN, parts)


def framed(title: str, width: float, height: float, parts: Iterator[str] | Sequence[str]) -> str:
    """A whole SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img"><title>{escape(title)}</title><style>{STYLE}</style>'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8896a5"/></marker></defs>'
        f'<text x="{MARGIN}" y="{MARGIN + 8}" font-weight="600">{escape(title)}</text>{"".join(parts)}</svg>\n'
    )


@dataclass(frozen=True, slots=True)
class _Box:
    """A step, a body of steps or a branch, and the room it takes. `inner` stand below one another, or `beside`."""

    width: float
    height: float
    inner: tuple[_Box, ...] = ()
    step: Step | None = None
    path: str = ""
    title: str = ""
    beside: bool = False


@dataclass(frozen=True, slots=True)
class _Drawing:
    marks: Mapping[str, Mark]
    of_run: bool

    def sized(self, steps: Sequence[Step], path: str) -> _Box:
        """A body."""
        inner = tuple(self._step(step, f"{path}.{step.id}" if path else step.id) for step in steps)
        height = sum(each.height for each in inner) + GAP * max(0, len(inner) - 1)
        return _Box(max((each.width for each in inner), default=WIDTH), height, inner)

    def _step(self, step: Step, path: str) -> _Box:
        if not step.do and not step.branches:
            return _Box(WIDTH, TOLD if self.of_run else HEIGHT, step=step, path=path)
        if step.do:
            body = self.sized(step.do, path)
            return _Box(body.width + 2 * PAD, body.height + HEAD + 2 * PAD, (body,), step, path)
        branches = tuple(
            self._branch(self.sized(branch.do, path), branch.when or self._otherwise(step, branch.name))
            for branch in step.branches
        )
        width = sum(each.width for each in branches) + PAD * (len(branches) + 1)
        height = max(each.height for each in branches) + HEAD + 2 * PAD
        return _Box(width, height, branches, step, path, beside=True)

    @staticmethod
    def _otherwise(step: Step, name: str) -> str:
        return "otherwise" if step.kind == "switch" else f"branch {name}"

    @staticmethod
    def _branch(body: _Box, title: str) -> _Box:
        return _Box(body.width + 2 * PAD, body.height + HEAD + PAD, (body,), title=title)

    def drawn(self, box: _Box, x: float, y: float) -> Iterator[str]:
        """A body at a place."""
        centre, below = x + box.width / 2, y
        for number, each in enumerate(box.inner):
            if number:
                yield (
                    f'<path class="a" marker-end="url(#tip)" d="M{centre:.0f} {below - GAP:.0f}V{below - 2:.0f}"/>'
                )
                if each.step is not None and each.step.when:
                    yield _text(centre + 6, below - GAP / 2 + 3, each.step.when, "w", WIDTH)
            yield from self._one(each, centre - each.width / 2, below)
            below += each.height + GAP

    def _one(self, box: _Box, x: float, y: float) -> Iterator[str]:
        step = box.step
        if step is None:
            return
        mark = self.marks.get(box.path, Mark())
        told = f"{step.kind}{f' · {mark.words()}' if mark.words() else ''}"
        if not box.inner:
            yield f"<g><title>{escape(f'{box.path} ({told})')}</title>"
            yield _rectangle(x, y, box, mark.state or "b")
            yield _text(x + 10, y + 17, step.id, "", WIDTH - 20)
            yield _text(x + 10, y + 32, step.kind, "k", WIDTH - 20)
            if self.of_run:
                yield _text(x + 10, y + 47, mark.words(), "w", WIDTH - 20)
            yield "</g>"
            return
        yield _rectangle(x, y, box, "g")
        yield _text(x + 10, y + 17, f"{step.kind}: {step.id}", "k", box.width - 20)
        if not box.beside:
            yield from self.drawn(box.inner[0], x + PAD, y + HEAD + PAD)
            return
        left = x + PAD
        for branch in box.inner:
            yield _rectangle(left, y + HEAD + PAD / 2, branch, "g")
            yield _text(left + 8, y + HEAD + PAD / 2 + 16, branch.title, "w", branch.width - 16)
            yield from self.drawn(branch.inner[0], left + PAD, y + HEAD + PAD / 2 + HEAD)
            left += branch.width + PAD


def _rectangle(x: float, y: float, box: _Box, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="6"/>'


def _text(x: float, y: float, text: str, kind: str, width: float) -> str:
    text, most = " ".join(text.split()), max(4, int(width / _CHARACTER))
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.0f}" y="{y:.0f}">{escape(shown)}</text>'
