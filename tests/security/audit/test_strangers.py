"""Refusals of strangers, who may come as often as they like, fill no journal; what was left out is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from intellirouter.security.audit.auditor import STRANGERS_A_MINUTE, Auditor
from intellirouter.security.audit.entry import Entry, now
from intellirouter.security.audit.journal import Journal, files_of

KEY = b"a key of the tests, long enough"


def refusal(who: str = "") -> Entry:
    return Entry(at=now(), kind="refusal", outcome="refused", action="chat", who=who)


async def flooded(directory: Path) -> list[tuple[str, str, str]]:
    """Kind, who and note of what is written of a flood within one minute."""
    auditor = Auditor(Journal(directory, KEY).open(), "standard", str)
    async with auditor.running():
        for _ in range(STRANGERS_A_MINUTE + 40):
            auditor.note(refusal())
        for _ in range(5):
            auditor.note(refusal("ada"))
    lines = [line for file in files_of(directory) for line in file.read_bytes().splitlines()]
    told = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
    return [(str(one["kind"]), str(one.get("who", "")), str(one.get("note", ""))) for one in told]


async def test_so_many_a_minute_are_written_and_the_others_counted(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    for turn in range(3):  # a minute may end in the midst of it
        began = clock() // 60
        told = await flooded(tmp_path / str(turn))
        if clock() // 60 == began:
            break
    assert told.count(("refusal", "", "")) == STRANGERS_A_MINUTE
    assert told.count(("refusal", "ada", "")) == 5
    assert told.count(("system", "", "40 refusals of strangers")) == 1
