"""The journal: what is done to it afterwards is found and named, whoever writes it and however a write ends."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.security.audit import journal as journal_module
from intellirouter.security.audit.chain import FIRST, Signer
from intellirouter.security.audit.entry import Entry, difference, now
from intellirouter.security.audit.journal import AuditUnavailable, Journal, files_of
from intellirouter.security.audit.search import Query, newest_first, search
from intellirouter.security.audit.verify import Verdict, verify_files

KEY = b"a key of the tests, long enough"
COUNT = 10_000


def entry(number: int, **more: object) -> Entry:
    return Entry(
        at=now(),
        kind="administration",
        outcome="ok",
        action=f"change_{number}",
        who="ada",
        on=f"key:{number}",
        **more,
    )  # type: ignore[arg-type]


def verdict(directory: Path, key: bytes = KEY) -> Verdict:
    journal = Journal(directory, key).open()
    return verify_files(directory, journal.node, journal.signer)


def problems(found: Verdict) -> list[tuple[str, int, int]]:
    return [(one.problem, one.first, one.last) for one in found.findings]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 records in several files."""
    directory = tmp_path_factory.mktemp("written")
    journal = Journal(directory, KEY).open()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_module, "MAX_FILE_BYTES", 1 << 20)
        for start in range(0, COUNT, 100):
            journal.append([entry(number) for number in range(start, start + 100)])
    assert len(files_of(directory)) > 2
    return directory


@pytest.fixture
def journal(written: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "audit"
    directory.mkdir()
    for file in written.iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    return directory


def lines(directory: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the lines of all files as if they were one; they stay as many as they were, the last takes what is over."""
    files = files_of(directory)
    counts = [file.read_bytes().count(b"\n") for file in files]
    changed = iter(change([line for file in files for line in file.read_bytes().splitlines(keepends=True)]))
    for file, count in zip(files[:-1], counts, strict=False):
        file.write_bytes(b"".join(itertools.islice(changed, count)))
    files[-1].write_bytes(b"".join(changed))


def test_what_was_written_holds(journal: Path) -> None:
    found = verdict(journal)
    assert (found.records, found.last, found.findings) == (COUNT, COUNT, [])


def changed(all_: list[bytes]) -> list[bytes]:
    all_[4711] = all_[4711].replace(b'"ada"', b'"bob"')
    return all_


def told_twice(all_: list[bytes]) -> list[bytes]:
    all_[4711] = all_[4711][:-2] + b',"who":"bob"}\n'
    return all_


def renumbered(all_: list[bytes]) -> list[bytes]:
    all_[4711] = all_[4711].replace(b'"n":4712,', b'"n":4713,')
    return all_


def swapped(all_: list[bytes]) -> list[bytes]:
    all_[10], all_[20] = all_[20], all_[10]
    return all_


def added(all_: list[bytes]) -> list[bytes]:
    return [*all_[:50], all_[40], *all_[50:]]


TAMPERED: list[tuple[Callable[[list[bytes]], list[bytes]], list[tuple[str, int, int]]]] = [
    (changed, [("changed", 4712, 4712)]),
    (told_twice, [("changed", 4712, 4712)]),
    (renumbered, [("changed", 4712, 4712)]),
    (lambda all_: all_[:99] + all_[100:], [("removed", 100, 100)]),
    (lambda all_: all_[:99] + all_[200:], [("removed", 100, 200)]),
    (lambda all_: all_[1:], [("removed", 1, 1)]),
    (swapped, [("swapped", 11, 11), *[("swapped", n, n) for n in range(12, 21)]]),
    (added, [("added", 41, 41)]),
    (lambda all_: all_[:-1], [("cut off", COUNT, COUNT)]),
    (lambda all_: all_[:-500], [("cut off", COUNT - 499, COUNT)]),
    (lambda all_: [*all_[:7], b"{}\n", *all_[8:]], [("unreadable", 8, 8)]),
    (lambda all_: [*all_[:7], b"\xff\xfe\n", *all_[8:]], [("unreadable", 8, 8)]),
    (lambda all_: [], [("cut off", 1, COUNT)]),
]


@pytest.mark.parametrize(("change", "found"), TAMPERED)
def test_what_is_done_to_it_is_named(
    journal: Path, change: Callable[[list[bytes]], list[bytes]], found: list[tuple[str, int, int]]
) -> None:
    lines(journal, change)
    assert problems(verdict(journal)) == found


def test_a_file_that_is_gone_is_named_by_its_records(journal: Path) -> None:
    first, second = (file.read_bytes().count(b"\n") for file in files_of(journal)[:2])
    files_of(journal)[1].unlink()
    assert problems(verdict(journal)) == [("removed", first + 1, first + second)]


@pytest.mark.parametrize("head", [None, b"{}", b'{"n":5,"mac":"00","sum":"00"}'])
def test_a_head_that_is_gone_or_made_up_is_named(journal: Path, head: bytes | None) -> None:
    (journal / "head").unlink()
    if head is not None:
        (journal / "head").write_bytes(head)
    assert [problem for problem, _, _ in problems(verdict(journal))] == ["head"]


def test_what_was_cut_off_stays_named_after_more_is_written(journal: Path) -> None:
    lines(journal, lambda all_: all_[:-10])
    Journal(journal, KEY).open().append([entry(1)])
    assert problems(verdict(journal)) == [("removed", COUNT - 9, COUNT)]


def test_another_key_says_so(journal: Path) -> None:
    found = verdict(journal, b"another key, long enough")
    assert sorted(problems(found)) == [("head", 0, 0), ("other key", 1, COUNT)]


@given(st.binary(max_size=300), st.integers(min_value=0, max_value=10**9))
def test_whatever_is_written_over_it_is_found(data: bytes, place: int) -> None:
    directory = OVERWRITTEN
    file = directory / "copy.jsonl"
    original = next(iter(files_of(directory))).read_bytes()
    at = place % len(original)
    new = original[:at] + data + original[at + len(data) :]
    signer = Journal(directory, KEY).open()
    file.unlink(missing_ok=True)
    target = files_of(directory)[0]
    target.write_bytes(new)
    try:
        found = verify_files(directory, signer.node, signer.signer)
        assert bool(found.findings) == (new != original)
    finally:
        target.write_bytes(original)


OVERWRITTEN = Path()


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> None:
    global OVERWRITTEN
    OVERWRITTEN = tmp_path_factory.mktemp("small")
    Journal(OVERWRITTEN, KEY).open().append([entry(number) for number in range(20)])


def _append(directory: Path, name: str, count: int) -> None:
    journal = Journal(directory, KEY).open()
    for number in range(count):
        journal.append([entry(number, note=name)])


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(tmp_path, f"writer {n}", 50)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found = verdict(tmp_path)
    assert (found.records, found.findings) == (150, [])


def _append_for_ever(directory: Path) -> None:
    journal = Journal(directory, KEY).open()
    for number in itertools.count():
        journal.append([entry(number, note="x" * 500) for _ in range(20)])


def test_a_writer_that_is_killed_leaves_nothing_broken(tmp_path: Path) -> None:
    for turn in range(1, 4):
        writer = multiprocessing.get_context("spawn").Process(target=_append_for_ever, args=(tmp_path,))
        writer.start()
        until = time.monotonic() + 60
        while (
            sum(file.stat().st_size for file in files_of(tmp_path)) < turn * 100_000
            and time.monotonic() < until
        ):
            time.sleep(0.01)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join(60)
    torn = files_of(tmp_path)[-1]
    with torn.open("ab") as handle:
        handle.write(b'{"n":1,"half')  # as a crash of the machine leaves it
    assert verdict(tmp_path).findings == []
    Journal(tmp_path, KEY).open().append([entry(1)])
    assert verdict(tmp_path).findings == []


@pytest.mark.parametrize("torn", [b"{", b'{"n":1,"half', b"x" * 100_000], ids=["sign", "half", "long"])
@pytest.mark.parametrize("before", [0, 1, 200])
def test_a_line_that_was_cut_is_taken_away_wherever_it_begins(
    tmp_path: Path, torn: bytes, before: int
) -> None:
    journal = Journal(tmp_path, KEY).open()
    if before:
        journal.append([entry(number) for number in range(before)])
    else:
        journal.append([entry(1)])
        files_of(tmp_path)[-1].write_bytes(b"")
    file = files_of(tmp_path)[-1]
    whole = file.read_bytes()
    file.write_bytes(whole + torn[: journal_module._TAIL - 1])
    Journal(tmp_path, KEY).open().append([entry(2)])
    assert file.read_bytes().startswith(whole + b"{")
    assert [b"change_2" in line for line in file.read_bytes()[len(whole) :].splitlines()] == [True]


def _fill(directory: Path, results: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # SIGXFSZ is ignored by Python: EFBIG
    journal = Journal(directory, KEY).open()
    written = 0
    try:
        for number in itertools.count():
            journal.append([entry(number, note="x" * 300) for _ in range(7)])
            written += 7
    except AuditUnavailable as error:
        results.write_text(f"{written} {os.strerror(errno.EFBIG) in error.message}")


def test_what_has_no_room_is_taken_away_whole(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_fill, args=(tmp_path / "audit", tmp_path / "said")
    )
    process.start()
    process.join(60)
    written, told = (tmp_path / "said").read_text().split()
    found = verdict(tmp_path / "audit")
    assert (found.records, found.findings, told) == (int(written), [], "True")


def test_days_are_sealed_and_old_ones_go_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, KEY, retention_days=2).open()
    real = time.time()
    for day in range(5):
        monkeypatch.setattr(time, "time", lambda day=day: real + day * 86_400)
        monkeypatch.setattr(
            time, "gmtime", lambda at=None, day=day: _gmtime(real + day * 86_400 if at is None else at)
        )
        journal.append([entry(day)])
    assert [problem for problem, _, _ in problems(verdict(tmp_path))] == []
    assert len(files_of(tmp_path)) < 5
    read = [
        msgspec.json.decode(line) for file in files_of(tmp_path) for line in file.read_bytes().splitlines()
    ]
    assert {"seal", "prune"} <= {record["action"] for record in read}
    assert read[0]["n"] > 1
    files_of(tmp_path)[0].unlink()
    assert [problem for problem, _, _ in problems(verdict(tmp_path))] == ["removed"]


_gmtime = time.gmtime


def test_records_are_found_newest_first(journal: Path) -> None:
    def found(limit: int = 5, **asked: str) -> list[str]:
        query = Query(**asked)
        return [record.action for record in search(newest_first(journal, query), query, limit)]

    assert found(2) == ["change_9999", "change_9998"]
    assert found(on="key:4711") == ["change_4711"]
    assert found(text="KEY:4711") == ["change_4711"]
    assert found(who="eve") == []
    assert found(kind="sign-in") == []
    assert found(since="2999-01-01") == []
    assert found(until="1999-01-01") == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": [2, 3]}),
        (None, {"name": "x"}, {"name": [None, "x"]}),
        ({"name": "x"}, None, {"name": ["x", None]}),
        ({"api_key": "one"}, {"api_key": "two"}, {"api_key": ["********", "********"]}),
        (
            {"api_keys": ["one"]},
            {"api_keys": ["two", "three"]},
            {"api_keys": [["********"], ["********", "********"]]},
        ),
        ({"tokens_per_minute": 5}, {"tokens_per_minute": None}, {"tokens_per_minute": [5, None]}),
        ({"p": {"password": "s", "x": 1}}, {}, {"p": [{"password": "********", "x": 1}, None]}),
        ({"sha256": "aa"}, {"sha256": "bb"}, {"sha256": ["********", "********"]}),
        ({"note": "hunter2"}, {"note": "planted"}, {"note": ["hunter2", "[gone]"]}),
    ],
)
def test_what_changed_is_told_without_secrets(before: dict, after: dict, told: dict) -> None:  # type: ignore[type-arg]
    assert difference(before, after, lambda text: text.replace("planted", "[gone]")) == told


def test_what_changed_has_a_bound() -> None:
    change = difference(None, {f"field {n}": "x" * 1000 for n in range(1000)}, str)
    assert len(msgspec.json.encode(change)) < 20_000
    assert "cut" in change


@pytest.mark.parametrize(
    ("asked", "days"),
    [
        (Query(), ["19", "20", "21"]),
        (Query(since="2026-11-20T10:00:00Z"), ["20", "21"]),
        (Query(until="2026-11-20T10:00:00Z"), ["19", "20"]),
        (Query(since="2026-11-20", before="2026-11-20T10:00:00Z n 1"), ["20"]),
    ],
)
def test_a_day_is_looked_through_when_it_may_hold_one(asked: Query, days: list[str]) -> None:
    assert [day for day in ("19", "20", "21") if asked.may_hold(f"2026-11-{day}")] == days


def test_a_mac_is_of_the_length_that_earlier_records_have() -> None:
    assert len(Signer(KEY).mac(b"x")) == len(FIRST) == 32
