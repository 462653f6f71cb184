"""Pictures of chains and of runs: well-formed, with every step, and true to what was recorded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from intellirouter.chains.check import check
from intellirouter.chains.drawing.bars import bars, picture
from intellirouter.chains.drawing.marks import lasting, marks
from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.drawing.svg import svg
from intellirouter.chains.model import Chain
from intellirouter.chains.plan import walk
from intellirouter.chains.source import read

EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "chains").glob("*.yaml"))
NASTY = """
chain: {name: nasty}
steps:
  - {id: first, set: {x: "1"}}
  - id: end
    when: '"<a&b>" != "#"'
    set: {x: "1"}
  - {id: style, sleep: 1s, when: "1 < 2"}
  - id: many
    map: {over: "[1, 2]", as: n, max_items: 2}
    do:
      - id: pick
        switch:
          - {when: n > 1, do: [{id: one, sleep: 1s}]}
          - do: [{id: other, sleep: 1s}]
"""


def chain_of(text: str) -> Chain:
    return check(read(text))


def texts(picture: str) -> str:
    return " ".join(ElementTree.fromstring(picture).itertext())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_step_of_every_example_is_drawn(example: Path) -> None:
    chain = check(read(example.read_text()))
    drawn, chart = texts(svg(chain)), mermaid(chain)
    for step in walk(chain.steps):
        assert step.id in drawn
        assert re.search(rf"_{step.id}\b", chart)


def test_what_authors_write_stays_text() -> None:
    chain = chain_of(NASTY)
    assert '"<a&b>" != "#"' in texts(svg(chain))
    assert '|"#quot;#lt;a&b#gt;#quot; != #quot;#35;#quot;"|' in mermaid(chain)
    chart = mermaid(chain)
    assert not [line for line in chart.splitlines() if re.match(r"\s*(end|style)\[", line)]
    assert chart.count("subgraph") == sum(line.strip() == "end" for line in chart.splitlines())


def step(path: str, began: float, ended: float, **outcome: Any) -> dict[str, Any]:
    return {"path": path, "kind": "llm", "started_at": began, "ended_at": ended, "outcome": outcome}


def test_a_run_is_drawn_with_states_times_and_costs() -> None:
    recorded = [
        step("style", 1.0, 2.5, ok={"text": "x", "cost_usd": 0.002}),
        step("many[0].pick.other", 3.0, 4.0, ok={}),
        step("many[1].pick.one", 3.0, 6.0, error={"code": "timeout", "message": ""}),
    ]
    known = ["end", "style", "many", "many.pick", "many.pick.one", "many.pick.other"]
    found = marks(known, recorded, ("end",), "")
    assert {path: mark.state for path, mark in found.items()} == {
        "style": "done",
        "many.pick.other": "done",
        "many.pick.one": "failed",
        "end": "running",
    }
    assert found["style"].words() == "done · 1.5 s · $0.002"
    drawn = svg(chain_of(NASTY), found, "a run")
    assert "done · 1.5 s · $0.002" in texts(drawn)
    assert drawn.count('class="failed"') == drawn.count('class="running"') == 1
    assert ":::failed" in mermaid(chain_of(NASTY), found)
    assert marks(known, [], (), "style")["style"].state == "waiting"


def test_the_steps_of_sub_chains_and_agents_count_for_the_step_that_holds_them() -> None:
    recorded = [
        step(path, 1.0, 2.0, ok={"cost_usd": 0.5}) for path in ("a[0]", "a[0].tool[0]", "a[1]", "b.x.y")
    ]
    found = marks(["a", "b"], recorded)
    assert (found["a"].times, found["a"].cost_usd, found["b"].times) == (3, 1.5, 1)


def test_the_bars_of_a_run_begin_where_its_steps_did() -> None:
    run = {"id": "run_1", "chain": "c", "status": "waiting", "created_at": 100.0}
    recorded = [step("b", 101.0, 103.0, ok={}), step("a.x", 100.5, 100.75, error={"code": "x"})]
    found = bars(run, recorded, 110.0, {"path": "w", "kind": "wait", "started_at": 103.0})
    assert [(bar["path"], bar["state"], bar["offset"], bar["seconds"]) for bar in found] == [
        ("a.x", "failed", 0.5, 0.25),
        ("b", "done", 1.0, 2.0),
        ("w", "waiting", 3.0, 7.0),
    ]
    assert [bar["depth"] for bar in found] == [1, 0, 0]
    drawn = picture(run, found)
    assert "run_1: waiting" in texts(drawn)
    assert 'class="failed"' in drawn
    many = [step(f"s[{number}]", 100.0, 101.0, ok={}) for number in range(700)]
    assert "200 more steps" in texts(picture(run, bars(run, many, 110.0)))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0123, "12 ms"), (1.26, "1.3 s"), (150, "2 min"), (7_200, "2.0 h")]
)
def test_durations_read_like_durations(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
