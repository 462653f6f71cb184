"""What a cut call is billed: never less than the provider would take, whatever came and wherever it was cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.delta import (
    Delta,
    Finish,
    RefusalDelta,
    Start,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallArguments,
    ToolCallStart,
    UsageDelta,
)
from intellirouter.chat.response import Usage
from intellirouter.chat.tokens import text_tokens
from intellirouter.config.schema.model_registry import Price
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.cost import cost_usd
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.tally import Tally, value_tokens
from intellirouter.inference.usage import credible
from intellirouter.transport.contract import Deadlines

PRICE = Price(input=3, output=15, cached=0.3)
CANDIDATE = Candidate("p/m", OFFLINE, OFFLINE.target("m"), Deadlines(), price=PRICE)
PIECES = st.lists(st.text(min_size=1, max_size=40), max_size=30)


def written(piece: str) -> int:
    """Tokens of a piece as a vendor counts them: at least one."""
    return max(1, text_tokens(piece))


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[Delta], int, int | None]:
    """Deltas, the tokens of the prompt, and what the vendor said of them at the start."""
    read = draw(st.integers(1, 100_000))
    told = draw(st.sampled_from([None, read]))
    deltas: list[Delta] = [Start(usage=None if told is None else Usage(input_tokens=told, output_tokens=1))]
    for number, kind in enumerate(
        draw(st.lists(st.sampled_from(["text", "thought", "call", "refusal"]), max_size=4))
    ):
        if kind == "call":
            deltas.append(ToolCallStart(number, f"c{number}", "write"))
        for piece in draw(PIECES):
            match kind:
                case "text":
                    deltas.append(TextDelta(piece))
                case "thought":
                    deltas.append(ThinkingDelta(piece))
                case "call":
                    deltas.append(ToolCallArguments(number, piece))
                case _:
                    deltas.append(RefusalDelta(piece))
    return deltas, read, told


def bill(deltas: list[Delta], read: int) -> float:
    """What the vendor takes."""
    words = [getattr(delta, "text", "") or getattr(delta, "fragment", "") for delta in deltas]
    return cost_usd(
        Usage(input_tokens=read, output_tokens=sum(written(word) for word in words if word)), PRICE
    )


def paid(tally: Tally, read: int) -> float:
    usage, _ = credible(tally.used(lambda: read), CANDIDATE, lambda: read, lambda: tally.tokens)
    return cost_usd(usage, PRICE)


@given(stream=streams(), cut=st.floats(0, 1), size=st.integers(1, 5))
def test_a_cut_stream_costs_no_less_than_its_vendor_takes(
    stream: tuple[list[Delta], int, int | None], cut: float, size: int
) -> None:
    deltas, read, _ = stream
    seen = deltas[: 1 + round(cut * (len(deltas) - 1))]
    tally = Tally()
    for at in range(0, len(seen), size):
        tally.take([StreamEvent(tuple(seen[at : at + size]))])
    pieces = sum(bool(getattr(delta, "text", "") or getattr(delta, "fragment", "")) for delta in seen)
    taken = bill(seen, read)
    rounding = pieces * 15 / 1e6  # a piece that is no whole number of tokens
    assert paid(tally, read) >= taken * 0.98 - rounding
    assert paid(tally, read) >= cost_usd(Usage(input_tokens=read, output_tokens=pieces), PRICE)


@given(stream=streams(), read=st.integers(1, 10_000), wrote=st.integers(1, 10_000))
def test_what_the_vendor_says_at_the_end_holds(
    stream: tuple[list[Delta], int, int | None], read: int, wrote: int
) -> None:
    for end in (
        [Finish("stop"), UsageDelta(Usage(read, wrote))],
        [UsageDelta(Usage(read, wrote)), Finish("stop")],
    ):
        tally = Tally()
        tally.take([StreamEvent(tuple(stream[0])), StreamEvent(tuple(end))])
        assert paid(tally, 77) == cost_usd(Usage(read, wrote), PRICE)


counts = st.integers(-(10**18), 10**18) | st.integers(-100, 100_000)


@given(
    usage=st.builds(
        Usage,
        input_tokens=counts,
        output_tokens=counts,
        cached_tokens=counts | st.none(),
        cache_write_tokens=counts | st.none(),
        cache_write_1h_tokens=counts | st.none(),
        total=counts | st.none(),
    )
)
def test_no_usage_is_a_credit_or_beyond_every_window(usage: Usage) -> None:
    believed, _ = credible(usage, CANDIDATE, lambda: 10, lambda: 10)
    assert 0 <= cost_usd(believed, PRICE) <= 2 * 10_000_000 * 15 / 1e6
    assert 0 <= believed.total_tokens <= 40_000_000
    parts = (believed.cached_tokens or 0) + (believed.cache_write_tokens or 0)
    assert 0 <= parts <= believed.input_tokens


def test_what_a_stream_said_of_the_question_at_its_beginning_holds_when_it_is_cut() -> None:
    tally = Tally()
    said = (Start("r", "m", usage=Usage(input_tokens=70, output_tokens=1)), TextDelta("It is written. " * 4))
    tally.take([StreamEvent((one,)) for one in said])
    used = tally.used(lambda: 5)
    assert (used.input_tokens, used.output_tokens >= 10, used.estimated) == (70, True, True)


@pytest.mark.parametrize("name", ["mimeType", "mime_type", "media_type"])
@pytest.mark.parametrize(
    ("kind", "least", "most"), [("audio/wav", 10, 12), ("image/png", 1_000, 1_010), ("", 1_000, 1_010)]
)
def test_a_picture_costs_what_it_shows_and_sound_by_its_length(
    name: str, kind: str, least: int, most: int
) -> None:
    block: dict[str, Any] = {name: kind, "data": "A" * 6_000}
    assert least <= value_tokens(block) <= most
