"""`scripts/bench`: measure, print, store, compare, check."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from scripts.benchmarks import report, servers
from scripts.benchmarks.breadth import BREADTH
from scripts.benchmarks.cases import Bench, Result, cases, opened
from scripts.benchmarks.peers import peers

STORED = report.RESULTS / "latest.json"


def main() -> int:
    """The exit code: 0, or 1 when `--check` finds a regression or a request failed."""
    arguments = _arguments()
    notes = _missing()
    known = _known(arguments.requests)
    if arguments.peers:
        known["peers"] = peers
    chosen = arguments.cases.split(",") if arguments.cases else list(known)
    if unknown := [name for name in chosen if name not in known]:
        print(f"no such case: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    run: dict[str, object] = {"facts": report.facts(notes), "cases": {}}
    results = {}
    with tempfile.TemporaryDirectory(prefix="intellirouter-bench-") as name, ExitStack() as stack:
        bench = opened(
            stack,
            Path(name),
            seconds=arguments.seconds,
            rounds=arguments.rounds,
            proxy=shutil.which("nginx") is not None,
        )
        for case in chosen:
            print(f"{case} …", file=sys.stderr, flush=True)
            result = known[case](bench)
            results[case] = {"figures": result.figures, "ratios": result.ratios}
    run["cases"] = results
    earlier = report.load(arguments.compare) if arguments.compare else None
    report.show(run, earlier)
    if arguments.json:
        report.save(run, arguments.json)
    if arguments.store:
        report.save(run, STORED)
    return _verdict(run, results, arguments.check)


def _known(requests: int) -> dict[str, Callable[[Bench], Result]]:
    return cases(requests) | BREADTH


def _verdict(run: dict[str, object], results: dict[str, dict[str, dict[str, float]]], check: bool) -> int:
    problems = [
        f"{case}: {value:.0f} requests failed ({figure})"
        for case, result in results.items()
        for figure, value in result["figures"].items()
        if figure.endswith("failed") and value
    ]
    if check:
        problems += report.regressions(run, report.load(STORED)) + report.unmet(run)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _missing() -> list[str]:
    notes = []
    if shutil.which("nginx") is None:
        notes.append("nginx is missing: the upstream is a Python one, and there is no proxy to compare with")
    if shutil.which("wrk") is None:
        notes.append("wrk is missing: the load comes from a generator of our own, slower than wrk")
    if len(servers.CORES) < 2:
        notes.append("there is one core: gateway, upstream and load share it")
    busy = os.getloadavg()[0]
    if busy > 0.5 * len(servers.CORES):
        notes.append(
            f"the machine was busy before the run (load average {busy:.1f}): figures are lower bounds"
        )
    return notes


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--cases", help=f"comma-separated, of: {', '.join(_known(0))}")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (default 4)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="of each measurement; the best counts (default 3)"
    )
    parser.add_argument("--requests", type=int, default=100_000, help="of the memory case (default 100000)")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="measure LiteLLM and Portkey too; installs them once, from the network",
    )
    parser.add_argument("--json", type=Path, help="write the run to this file")
    parser.add_argument("--compare", type=Path, help="show the change against an earlier run's file")
    parser.add_argument(
        "--store", action="store_true", help=f"keep the run as {STORED.name}, the one to check against"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail when a ratio fell by more than 15 %%, or misses a bound"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
