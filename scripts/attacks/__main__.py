"""Attack an installation, and say in a table what held.

    scripts/attack [--requests 2000] [--seed 1] [--form one|http|grpc] [--json]

Starts all roles with two tenants on free loopback ports, in one process or in four that speak HTTP or gRPC to one another, and
sends good requests with odd values on every route of every role, with no key, a wrong one, and keys of each kind, while a second
connection asks each process the whole time whether it is alive. `--requests 20000` is the long form. Exit code 1 where something
did not hold: an answer of 5xx that says nothing of what is missing, a secret of one tenant in the answer to another, the loop
held, or memory beyond the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.attacks.campaign import Attack
from scripts.attacks.fleet import FORMS, Form, running
from tests.servers import fault_vendor
from tests.servers.vendor import Play, Received, Vendor


def vendor(received: Received) -> Play:
    """A provider that answers all: vectors that count letters, a few words whole or streamed."""
    asked = received.json if received.body else {}
    if received.path.endswith("/embeddings"):
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        rows = [
            {"object": "embedding", "index": at, "embedding": [float(str(text).count(c)) for c in "aeioulx."]}
            for at, text in enumerate(texts)
        ]
        return Play.json(
            {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        )
    if asked.get("stream"):
        return Play.sse(*fault_vendor.events(["well ", "enough"]))
    return Play.json(fault_vendor.whole("well enough"))


async def main(requests: int, seed: int, form: Form, *, as_json: bool) -> int:
    """Attack, and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Vendor(vendor).running() as provider,
            running(form, Path(folder), provider.url) as fleet,
        ):
            result = await Attack(fleet, seed).run(requests)
    verdicts = result.verdicts()
    if as_json:
        print(json.dumps({name: {"found": found, "held": held} for name, found, held in verdicts}, indent=1))
    else:
        table = Table(
            "", "found", "", box=None, title=f"attack of {requests:,} requests, {form}, seed {seed}"
        )
        for name, found, held in verdicts:
            table.add_row(name, found, "ok" if held else "[bold]broken[/]")
        Console(width=80).print(table)
        for said, count in result.told.most_common(20):
            print(f"  {count:,} × {said}")
    return 0 if all(held for _, _, held in verdicts) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--form", choices=FORMS, default="one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.requests, options.seed, options.form, as_json=options.json)))
