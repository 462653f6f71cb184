"""A chain as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from intellirouter.chains.model import Chain, Step


def mermaid(chain: Chain) -> str:
    """The definition drawn: bodies are boxes, `when` stands on the arrow."""
    return "\n".join(["flowchart TD", *_body(chain.steps, "", "    ")]) + "\n"


def _body(steps: Sequence[Step], prefix: str, indent: str) -> Iterator[str]:
    before = ""
    for step in steps:
        name = f"{prefix}{step.id}"
        if step.do or step.branches:
            yield f'{indent}subgraph {name}["{step.kind}: {step.id}"]'
            yield from _body(step.do, f"{name}_", indent + "    ")
            for number, branch in enumerate(step.branches):
                title = _label(branch.when or ("otherwise" if step.kind == "switch" else f"branch {number}"))
                yield f'{indent}    subgraph {name}_{number}["{title}"]'
                yield from _body(branch.do, f"{name}_{number}_", indent + "        ")
                yield f"{indent}    end"
            yield f"{indent}end"
        else:
            yield f'{indent}{name}["{step.id} ({step.kind})"]'
        if before:
            yield (
                f'{indent}{before} -->|"{_label(step.when)}"| {name}'
                if step.when
                else f"{indent}{before} --> {name}"
            )
        before = name


def _label(text: str) -> str:
    return text.replace('"', "'").replace("<", "&lt;").replace(">", "&gt;")[:80]
