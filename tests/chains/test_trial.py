"""Cases of a chain, run with stubs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intellirouter.cli.chain import app

CHAIN = """
chain: {name: mail}
input: {mail: {type: string}}
steps:
  - {id: sort, classify: {model: m, text: "{{ input.mail }}", labels: [late, refund]}}
  - id: each
    map: {over: "[1, 2]", as: x, max_items: 3}
    do: [{id: say, llm: {model: m, prompt: x}}]
  - {id: ask, when: steps.sort.label == 'refund', wait: {signal: go}}
  - {id: book, http: {url: "http://x.example/"}, on_error: continue}
output: {class: steps.sort.label, said: "steps.each|map(attribute='say.text')|list", by: steps.ask.by, ok: "'error' not in steps.book"}
"""
GOOD = """
cases:
  - {name: late, input: {mail: x}, stubs: {sort: {label: late}, say: hello, book: {status: 200}},
     expect: {class: late, said: [hello, hello], ok: true}}
  - {name: by path, input: {mail: x}, stubs: {sort: {label: refund}, 'each[0].say': one, 'each[1].say': two, book: {error: timeout}},
     signals: {go: {by: ann}}, expect: {said: [one, two], by: ann, ok: false}}
  - {name: fails, input: {mail: x}, stubs: {sort: {error: {code: timeout, message: slow}}}, fails: timeout}
  - {name: bad input, input: {}, fails: invalid_request_error}
"""
BAD = """
cases:
  - {name: other, input: {mail: x}, stubs: {sort: {label: late}, say: hello, book: {}}, expect: {class: refund}}
  - {name: no stub, input: {mail: x}, stubs: {sort: {label: late}}}
  - {name: no signal, input: {mail: x}, stubs: {sort: {label: refund}, say: a}}
  - {name: no failure, input: {mail: x}, stubs: {sort: {label: late}, say: a, book: {}}, fails: timeout}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("mail", CHAIN), ("good", GOOD), ("bad", BAD), ("none", "cases: [{inputs: {}}]")):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_cases_that_hold(files: Path) -> None:
    done = CliRunner().invoke(app, ["test", str(files / "mail.yaml"), str(files / "good.yaml")])
    assert (done.exit_code, "4 of 4 hold" in done.output) == (0, True), done.output


def test_cases_that_do_not(files: Path) -> None:
    arguments = ["test", str(files / "mail.yaml"), str(files / "bad.yaml"), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1, done.output
    told = json.loads(done.output)
    problems = {case["name"]: case["problem"] for case in told["cases"]}
    assert problems["other"] == "output.class is 'late', wanted 'refund'"
    assert "no stub for step 'each[" in problems["no stub"]
    assert "waits for 'go'" in problems["no signal"]
    assert "was to fail with timeout" in problems["no failure"]
    assert told["failed"] == 4


def test_a_file_that_holds_no_cases_is_said(files: Path) -> None:
    done = CliRunner().invoke(app, ["test", str(files / "mail.yaml"), str(files / "none.yaml")])
    assert done.exit_code != 0
    assert "inputs" in str(done.exception) + done.output
