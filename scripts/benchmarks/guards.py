"""`scripts/bench guards`: what the guards find, what they take for something that it is not, and what they cost.

Precision and recall by kind on labelled text (`guard_texts.py`), plain and disguised; findings by kind in each megabyte of the
documentation that Debian's packages bring, nearly all of them false but for e-mail addresses; microseconds of one core. A
missed target is exit code 1. `--show KIND` prints what went wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Text
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.guard import Guard, made
from intellirouter.guards.incoming import looked_at
from intellirouter.guards.reading import Reading
from intellirouter.guards.report import Report
from scripts.benchmarks.guard_texts import KINDS, Labelled, disguised, sentences

PRECISION, RECALL, DISGUISED = 0.97, 0.95, 0.9
MICROSECONDS = 100.0
"""For the built-in set on two kilobytes in which nothing is to be found."""
BUILT_IN = ("secret", "pii", "injection", "invisible", "bidi", "control")
DOCUMENTS = Path("/usr/share/doc")
_SIZE = 2_048
_HARMLESS = {
    "English": "Dear team, please summarise the minutes of the meeting that we held on Tuesday, 12 March 2024, in room 4.17. There were 14 "
    "people; the budget of $12,500 was approved (see item 3.2). Jane asked whether the release v2.10.1 could wait until the 21st. ",
    "German": "Sehr geehrte Damen und Herren, könnten Sie mir bitte die Unterlagen über das Projekt schicken? Wir haben am 12.03.2024 "
    "darüber gesprochen; es geht um 3 Häuser für je 250.000 €. ",
    "Chinese": "请帮我总结一下昨天会议的要点,并列出接下来三个月的行动计划。参加会议的有12个人,预算是五万元。",
    "code": 'def total(rows: list[dict[str, int]], key: str = "amount") -> int:\n    """Sum rows[0..n]; ids like 10293 are skipped."""\n'
    '    return sum(row[key] for row in rows if row.get("id", 0) > 100 and row["kind"] != "x")\n\n',
}


def guard(kind: str, **more: Any) -> Guard:
    """A guard that only tells."""
    return made(GuardSection.model_validate({"name": kind, "kind": kind, "action": "flag", **more}), str)


def judged(labelled: Iterable[Labelled], show: str | None) -> dict[str, dict[str, float]]:
    """By kind: what was right, wrong and missed."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    guards = {kind: guard(kind) for kind in KINDS}
    for one in labelled:
        found = [one.text[hit.start : hit.end] for hit in guards[one.kind].find(one.text)]
        right = one.wanted is not None and any(_same(hit, one.wanted, one.kind) for hit in found)
        wrong = sum(one.wanted is None or not _same(hit, one.wanted, one.kind) for hit in found)
        counts[one.kind].update(right=right, wrong=wrong, missed=one.wanted is not None and not right)
        if show == one.kind and (wrong or (one.wanted is not None and not right)):
            sys.stderr.write(f"{one.text!r}: wanted {one.wanted!r}, found {found}\n")
    return {
        kind: {
            "precision": got["right"] / max(1, got["right"] + got["wrong"]),
            "recall": got["right"] / max(1, got["right"] + got["missed"]),
        }
        for kind, got in counts.items()
    }


def _same(hit: str, wanted: str, kind: str) -> bool:
    """Numbers have to be found whole and alone; of an address or an order a part says where it is."""
    return hit in wanted or wanted in hit if kind in ("address", "injection") else hit == wanted


def documents(most: int) -> Iterator[str]:
    """Debian's documentation, up to so many bytes."""
    for file in sorted(DOCUMENTS.rglob("*")):
        if most <= 0:
            return
        if not file.is_file() or file.is_symlink():
            continue
        try:
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        except (OSError, EOFError):
            continue
        if b"\0" in data[:1_000] or file.suffix in (".png", ".jpg", ".svg", ".pdf"):
            continue
        data = data[: min(most, 200_000)]
        most -= len(data)
        yield data.decode("utf-8", "replace")


def among(texts: list[str], show: str | None) -> dict[str, float]:
    """Findings of each kind in a megabyte, and whether what holds nothing went through as it was."""
    guards = [guard(kind) for kind in BUILT_IN]
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6 or 1.0
    found: Counter[str] = Counter()
    for text in texts:
        reading = Reading(text)
        for one in guards:
            for hit in one.find(reading):
                found[hit.kind] += 1
                if show == hit.kind:
                    sys.stderr.write(
                        f"{text[max(0, hit.start - 30) : hit.end + 10][:120]!r}: {text[hit.start : hit.end][:60]!r}\n"
                    )
    return {kind: found[kind] / size for kind in (*KINDS, "invisible", "bidi", "control")}


def untouched(texts: list[str]) -> bool:
    """Whether a request in which nothing is found is the same object after guards that would mask."""
    hide = [guard(kind, action="mask-restore") for kind in ("pii", "secret")]
    for text in texts:
        request = ChatRequest(model="m", messages=(Message("user", (Text(text),)),))
        done = looked_at(request, hide, Report())
        if bool(done.report) == (done.request is request):
            return False
    return True


def micros(work: Callable[[], object], rounds: int = 40, each: int = 25) -> float:
    """Of one core, for each call; the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(each):
            work()
        best = min(best, (time.process_time() - began) / each)
    return best * 1e6


def costs() -> dict[str, dict[str, float]]:
    """By text and guard."""
    guards = {kind: guard(kind) for kind in BUILT_IN}
    rows: dict[str, dict[str, float]] = {}
    for name, words in _HARMLESS.items():
        text = (words * 100).encode()[:_SIZE].decode(errors="ignore")
        row = {kind: micros(partial(one.find, text)) for kind, one in guards.items()}
        row["all"] = micros(partial(_all_find, list(guards.values()), text))
        rows[name] = row
    return rows


def keywords() -> dict[int, float]:
    """Microseconds by how many words are known."""
    text = (_HARMLESS["English"] * 100)[:_SIZE]
    costs: dict[int, float] = {}
    for number in (10, 1_000, 10_000):
        known = guard("keywords", words=[f"nightfall {place}" for place in range(number)])
        costs[number] = micros(partial(known.find, text))
    return costs


def _all_find(guards: list[Guard], text: str) -> None:
    reading = Reading(text)
    for one in guards:
        one.find(reading)


def main() -> None:
    """Measure, print, judge."""
    reads = argparse.ArgumentParser(prog="scripts/bench guards", description=__doc__)
    reads.add_argument("--seed", type=int, default=22)
    reads.add_argument("--each", type=int, default=400, help="sentences of each kind")
    reads.add_argument("--megabytes", type=float, default=20.0, help="of documentation")
    reads.add_argument("--show", choices=sorted(KINDS), help="print what went wrong with this kind")
    reads.add_argument("--json", action="store_true")
    given = reads.parse_args()
    plain = judged(sentences(given.seed, given.each), given.show)
    hidden = judged(disguised(given.seed, given.each // 2), given.show)
    texts = list(documents(int(given.megabytes * 1e6)))
    told = {
        "labelled": plain,
        "disguised": {kind: row["recall"] for kind, row in hidden.items()},
        "documents_mb": round(sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6, 1),
        "found_per_mb": among(texts, given.show),
        "untouched": untouched([text[:_SIZE] for text in texts[:2_000]]),
        "microseconds_2kb": costs(),
        "keywords_microseconds": keywords(),
    }
    if given.json:
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        _shown(told)
    sys.exit(0 if _held(told) else 1)


def _held(told: dict[str, Any]) -> bool:
    return (
        all(row["precision"] >= PRECISION and row["recall"] >= RECALL for row in told["labelled"].values())
        and all(recall >= DISGUISED for recall in told["disguised"].values())
        and told["untouched"]
        and all(row["all"] < MICROSECONDS for row in told["microseconds_2kb"].values())
    )


def _shown(told: dict[str, Any]) -> None:
    console = Console(width=80)
    table = Table(
        "kind",
        "precision",
        "recall",
        "disguised",
        "per MB of docs",
        title=f"Found ({told['documents_mb']} MB of documentation)",
    )
    for kind, per_mb in told["found_per_mb"].items():
        row = told["labelled"].get(kind, {})
        table.add_row(kind, *(f"{row[name]:.3f}" if row else "" for name in ("precision", "recall")),
                      f"{told['disguised'][kind]:.3f}" if kind in told["disguised"] else "", f"{per_mb:.2f}")  # fmt: skip
    console.print(table)
    table = Table("2 kB of", *BUILT_IN, "all", title="Microseconds where nothing is found")
    for name, row in told["microseconds_2kb"].items():
        table.add_row(name, *(f"{row[kind]:.0f}" for kind in (*BUILT_IN, "all")))
    console.print(table)
    words = ", ".join(f"{number:,}: {cost:.0f} µs" for number, cost in told["keywords_microseconds"].items())
    console.print(f"Keywords on 2 kB: {words}")
    console.print(f"A request in which nothing is found is untouched: {'yes' if told['untouched'] else 'NO'}")


if __name__ == "__main__":
    main()
