"""`intellirouter keys`, and what a key that has ended is told."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.cli.plain import dollars
from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import AuthenticationFailed, InvalidRequest
from intellirouter.inference.virtual_keys import make_key, standings_of
from intellirouter.security.api_keys import KeyRing
from tests.cli.test_mistakes import walk, well_said

NEW = ["--rpm", "-1", "--tpm", "900", "--budget", "month=7", "--days", "2", "--priority", "3"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"expires": 1.0}, "The API key has expired."),
        ({"revoked": 1.0}, "The API key was revoked."),
    ],
)
def test_a_key_that_has_ended_says_how_however_often_it_was_read_again(
    more: dict[str, float], words: str
) -> None:
    ring = KeyRing(AuthSection(enabled=True))
    key, secret = make_key("ci", **more)
    for _ in range(2):
        ring.take(*standings_of([key]))
        with pytest.raises(AuthenticationFailed, match=re.escape(words)):
            ring.authenticate({"authorization": f"Bearer {secret}"})
    with pytest.raises(AuthenticationFailed, match="not known here"):
        ring.authenticate({"authorization": "Bearer sk-ir-other"})


def test_a_key_that_is_good_stays_so(tmp_path: Path) -> None:
    ring = KeyRing(AuthSection(enabled=True))
    key, secret = make_key("ci", expires=time.time() + 1000)
    ring.take(*standings_of([key]))
    assert ring.authenticate({"x-api-key": secret}).key_id == "ci"


def test_a_scope_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidRequest, match=r"no scope 'adminn'\. Scopes: inference, chains"):
        make_key("ci", scopes=("inference", "adminn"))


def test_the_list_fits_a_terminal_and_leaves_out_what_has_ended(tmp_path: Path) -> None:
    calls = [
        [
            "keys",
            "create",
            "continuous-integration",
            "--team",
            "research",
            "--rpm",
            "60",
            "--budget",
            "day=0.00001",
        ],
        ["keys", "create", "gone", "--days", "90"],
        ["keys", "create", "none", "--scope", "adminn"],
        ["keys", "revoke", "gone"],
        ["keys", "list"],
        ["keys", "list", "--all"],
        ["keys", "update", "continuous-integration", *NEW, "--json"],
    ]
    made, _, refused, _, good, everything, changed = walk(calls, tmp_path)
    for outcome in (made, good, everything):
        well_said(outcome)
        assert outcome["code"] == 0
    assert refused["code"] == 2
    assert "adminn" in str(refused["printed"])
    told = str(good["printed"])
    assert "never" in told
    assert "$0.00001/day" in told
    assert "gone" not in told
    assert "--all" in told
    assert re.search(r"revoked\s", str(everything["printed"]))
    assert all(len(line) <= 80 for line in told.splitlines())
    now = json.loads(str(changed["printed"]))
    assert (now["budgets"], now["tokens_per_minute"], now["priority"]) == ({"month": 7.0}, 900, 3)
    assert "requests_per_minute" not in now or now["requests_per_minute"] is None
    assert 0 < now["expires"] - time.time() <= 2 * 86_400


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False))
def test_dollars_are_read_without_an_exponent(amount: float) -> None:
    text = dollars(amount)
    assert re.fullmatch(r"\$[\d,]+(\.\d{2,})?", text)
    said = float(text.replace(",", "")[1:])
    assert said == pytest.approx(amount, rel=0.01, abs=0.005 if amount >= 1 else 0)


@pytest.mark.parametrize("budget", ["week=5", "day=abc", "day=-1", "day=nan", "day=inf", "day"])
def test_a_budget_that_is_none_is_told_what_one_is(tmp_path: Path, budget: str) -> None:
    (outcome,) = walk([["keys", "create", "k", "--budget", budget]], tmp_path)
    well_said(outcome)
    assert outcome["code"] == 2
    assert "hour, day, month, total" in str(outcome["printed"])
