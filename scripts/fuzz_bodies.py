"""Send a Router a thousand bodies no sane client sends, at each inbound endpoint, and print how it answered.

    python -m scripts.fuzz_bodies [--each N] [--seed N] [--only WORD]

A stand-in vendor answers well behind ten kinds of adapter. Exits with 1 when a body led to a 500, a broken stream, a
hang or an error in anything but the dialect's own words; each such body is printed and comes again with the same seed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import aiohttp

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.roles.router.fuzz.bodies import ENDPOINTS
from tests.roles.router.fuzz.campaign import config, fuzz, vendor
from tests.servers.vendor import Vendor


async def campaign(folder: Path, each: int, seed: int, only: str) -> int:
    """Every endpoint in turn; the number of bodies that did harm."""
    harmful = 0
    async with Vendor(vendor).running() as stand_in:
        file = folder / "router.toml"
        file.write_text(config(stand_in.url))
        flags = {("server", "port"): 0, ("paths", "data_dir"): folder / "data"}
        async with running(load(file, {}, flags), select("Router")) as node, aiohttp.ClientSession() as http:
            for endpoint in ENDPOINTS:
                if only not in endpoint.path:
                    continue
                seen, harms = await fuzz(http, node.listening[0].url, endpoint, each, seed)
                harmful += len(harms)
                statuses = "  ".join(f"{status}: {count:>5}" for status, count in sorted(seen.items()))
                print(f"{endpoint.path:<52} {seen.total():>6} bodies  {statuses}", flush=True)
                for harm in harms:
                    print(harm, file=sys.stderr)
    return harmful


def main() -> int:
    """Run, and say how it went."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        harmful = asyncio.run(campaign(Path(folder), asked.each, asked.seed, asked.only))
    print(f"{harmful} bodies did harm")
    return 1 if harmful else 0


if __name__ == "__main__":
    sys.exit(main())
