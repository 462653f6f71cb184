"""Prints what was not noticed; exit code 1 when fewer than `--least` percent were. See the package."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.mutations import campaign, nursery, reach, sampling
from scripts.mutations.sampling import Mutant


def main() -> int:
    given = _arguments()
    nursery.adopt()
    scratch = Path(tempfile.mkdtemp(prefix="intellirouter-mutants-"))
    try:
        return _campaign(given, campaign.copied(scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _campaign(given: argparse.Namespace, tree: Path) -> int:
    if not given.map.exists() or given.explore is not None:
        explorer = os.fork()
        if explorer == 0:
            long = _long(tree)
            reach.explore(tree, given.map, given.explore or (), long, given.file_seconds)
            os._exit(0)
        os.waitpid(explorer, 0)
        if given.explore is not None:
            return 0
    known: reach.Reach = pickle.loads(given.map.read_bytes())
    mutants = _again(given.again) if given.again else sampling.sample(given.sample, given.seed, given.room)
    first, _, last = given.part.partition("-")
    mutants = mutants[int(first or 1) - 1 : int(last) if last else None]
    trials = campaign.trials(mutants, known, tree, given.budget)
    trials.sort(key=lambda one: one.cold)  # the dear ones last
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        nursery.adopt()
        os._exit(_try(tree, known, trials, theirs, given))
    theirs.close()
    nursery.spared.add(child)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    campaign.serve_cold(ours, known.modules)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _long(tree: Path) -> Sequence[str]:
    """`LONG` of `tests/conftest.py`, which is not imported for it."""
    text = (tree / "tests/conftest.py").read_text(encoding="utf-8")
    return tuple(
        line.strip().strip('",')
        for line in text.partition("LONG = (")[2].partition("\n)")[0].split("\n")
        if line.strip()
    )


def _try(
    tree: Path,
    known: reach.Reach,
    trials: Sequence[campaign.Trial],
    link: socket.socket,
    given: argparse.Namespace,
) -> int:
    trying = campaign.Campaign(tree, known, link, given.seconds)
    count: Counter[str] = Counter()
    missed: list[Mutant] = []

    def work(session: pytest.Session) -> None:
        trying.begin(session)
        for number, trial in enumerate(trials, 1):
            began = time.monotonic()
            how = trying.tried(trial)
            one = trial.mutant
            count[how.partition(":")[0] or "MISSED"] += 1
            if not how:
                missed.append(one)
            row = f"{number:4} {how.partition(':')[0] or 'MISSED':6} {time.monotonic() - began:6.1f} s {len(trial.tests):4}{'c' if trial.cold else ' '} {one.place}  {one.what}"
            print(row, f" [{how.partition(': ')[2][:120]}]" if how else "", file=sys.__stdout__, flush=True)
            if given.out:
                with given.out.open("a") as file:
                    file.write(
                        json.dumps([one.file, one.function, one.what, one.was(), one.line, how]) + "\n"
                    )

    files = {test.partition("::")[0]: None for trial in trials for test in trial.tests}
    nursery.collected(tree, work, files)
    total = sum(count.values())
    share = 100 * (total - count["MISSED"]) / max(total, 1)
    print(
        f"{total - count['MISSED']} of {total} noticed ({share:.0f} %, {dict(count)}); not noticed:",
        file=sys.__stdout__,
    )
    for one in missed:
        print(f"  {one.place}  {one.what}", file=sys.__stdout__, flush=True)
    return int(share < given.least)


def _again(file: Path) -> list[Mutant]:
    """What a file of results says was missed, as it is in the present tree."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = []
    for path, function, what, was, line, how in rows:
        if not how and (sampling.ROOT / path).exists():
            same = [
                one
                for one in sampling.mutants_of(path)
                if (one.function, one.what) == (function, what) and one.was() == was
            ]
            found += sorted(same, key=lambda one: abs(one.line - line))[:1]
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=300, help="mutants to try")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--room", default="", help="only modules whose path begins so, as in config or chat/ollama"
    )
    parser.add_argument("--part", default="1", help="of the sample, as in 101-200")
    parser.add_argument(
        "--map",
        type=Path,
        default=Path(tempfile.gettempdir(), "intellirouter-mutants.map"),
        help="which test comes past which block; made where it is not there",
    )
    parser.add_argument(
        "--explore", nargs="*", metavar="TESTS", help="only add these tests to the map (all without names)"
    )
    parser.add_argument(
        "--file-seconds", type=float, default=300, help="for the tests of one file when the map is made"
    )
    parser.add_argument("--budget", type=float, default=20, help="processor seconds of tests for one mutant")
    parser.add_argument("--seconds", type=float, default=300, help="of the clock, for one mutant's tests")
    parser.add_argument("--out", type=Path, help="append each result to this file, a line of JSON each")
    parser.add_argument("--again", type=Path, help="try only what this file says was missed")
    parser.add_argument("--least", type=float, default=85, help="percent that must be noticed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
