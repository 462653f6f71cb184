"""A chain as a Mermaid flowchart, which GitHub, GitLab and many editors draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from intellirouter.chains.drawing.marks import Mark
from intellirouter.chains.model import Chain, Step

_CLASSES = (
    "classDef done fill:#e3f5e8,stroke:#2e8b57,color:#123",
    "classDef failed fill:#fde7e7,stroke:#c0392b,color:#123",
    "classDef running fill:#e6f0fd,stroke:#2f6fd0,color:#123",
    "classDef waiting fill:#fff4dc,stroke:#c98a00,color:#123",
)


def mermaid(chain: Chain, marks: Mapping[str, Mark] | None = None) -> str:
    """The definition drawn: bodies are boxes, `when` stands on the arrow. `marks` colour the steps of a run."""
    lines = ["flowchart TD", *_body(chain.steps, "", "", "    ", marks or {})]
    if marks:
        lines += [f"    {line}" for line in _CLASSES]
    return "\n".join(lines) + "\n"


def _body(
    steps: Sequence[Step], path: str, prefix: str, indent: str, marks: Mapping[str, Mark]
) -> Iterator[str]:
    before = ""
    for step in steps:
        # a word of Mermaid's own, such as `end`, is no name
        name, at = f"{prefix or 's_'}{step.id}", f"{path}.{step.id}" if path else step.id
        mark = marks.get(at, Mark())
        if step.do or step.branches:
            yield f'{indent}subgraph {name}["{step.kind}: {_label(step.id)}"]'
            yield from _body(step.do, at, f"{name}_", indent + "    ", marks)
            for number, branch in enumerate(step.branches):
                title = _label(branch.when or ("otherwise" if step.kind == "switch" else f"branch {number}"))
                yield f'{indent}    subgraph {name}_{number}["{title}"]'
                yield from _body(branch.do, at, f"{name}_{number}_", indent + "        ", marks)
                yield f"{indent}    end"
            yield f"{indent}end"
        else:
            told = f"<br/>{mark.words()}" if mark.words() else ""
            colour = f":::{mark.state}" if mark.state else ""
            yield f'{indent}{name}["{_label(step.id)} ({step.kind}){told}"]{colour}'
        if before:
            yield (
                f'{indent}{before} -->|"{_label(step.when)}"| {name}'
                if step.when
                else f"{indent}{before} --> {name}"
            )
        before = name


def _label(text: str) -> str:
    """A text in a label, where Mermaid reads entities."""
    text = " ".join(text.split())[:80]
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        text = text.replace(sign, entity)
    return text
