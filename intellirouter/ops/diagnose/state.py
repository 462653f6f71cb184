"""The stores: what is there, and whether it keeps what it acknowledged."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from intellirouter.config.schema.memory import MemorySection
from intellirouter.counts import counted
from intellirouter.errors import StateError
from intellirouter.memory.open import FILE
from intellirouter.ops.diagnose.database import read_only, trouble
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place, reach


async def state(section: MemorySection, data_dir: Path, deadline: float) -> list[Finding]:
    """The state store that `[memory]` asks for."""
    if section.backend_type == "embedded":
        return [_embedded(data_dir / FILE)]
    # redis takes 100 ms to import, and an embedded node never needs it
    redis = importlib.import_module("intellirouter.memory.redis.facts")
    reached = await asyncio.gather(*(reach(place, deadline) for place in _servers(section)))
    away = [one for one in reached if one.level is Level.PROBLEM]
    if len(away) == len(
        reached
    ):  # the network's own words say why: the name, the connection, the certificate
        return [
            Finding(
                "state",
                "redis",
                Level.PROBLEM,
                f"Redis at {one.message}",
                f"{one.advice} It is [memory] redis_url.",
            )
            for one in away
        ]
    where = " ".join(one.message.split(" ", 1)[0].rstrip(":") for one in reached if one not in away)
    try:
        async with asyncio.timeout(deadline):
            info = await redis.facts(section)
            found = _redis(info, where)
            if info.get("role", "master") == "master":
                found += _refused(await redis.refused(section), section, info)
    except TimeoutError:
        message = f"Redis at {where} does not answer within {deadline:g} s"
    except StateError as error:
        message = f"{error.message} ({where})"
    else:
        return [*found, *(_away(one) for one in away)]
    advice = "systemctl status redis-server; check [memory] redis_url and redis_password."
    if "max number of clients" in message:
        advice = (
            "See who has them: redis-cli client list. Raise maxclients there, or lower [memory] pool_size."
        )
    elif "No master found" in message:
        advice = "Is [memory] redis_sentinel_master the name that the Sentinels watch? redis-cli -p 26379 sentinel masters lists them."
    elif "redis_cluster" in message:
        advice = "redis_cluster = true is for a Redis with cluster-enabled yes."
    elif "closed by server" in message:
        advice = "Is it Redis? If it speaks TLS alone, [memory] redis_url begins with rediss://."
    return [Finding("state", "redis", Level.PROBLEM, message, advice)]


def _servers(section: MemorySection) -> list[Place]:
    """What must answer before Redis can: it, or its Sentinels."""
    ca = str(section.redis_ca) if section.redis_ca else None
    url = urlsplit(section.redis_url.get_secret_value())
    if section.redis_sentinels and not section.redis_cluster:
        scheme = "tcp" if url.scheme != "rediss" or section.redis_certificate else "rediss"
        return [Place("Sentinel", f"{scheme}://{address}", ca=ca) for address in section.redis_sentinels]
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or "127.0.0.1"
    # without our certificate a server that wants one would break the handshake off: only the connection is looked at
    scheme = "tcp" if section.redis_certificate else url.scheme
    return [Place("Redis", f"{scheme}://{host}:{url.port or 6379}", ca=ca)]


def _away(found: Finding) -> Finding:
    return Finding("state", "redis sentinel", Level.WARNING, f"Sentinel {found.message}", found.advice)


def _embedded(file: Path) -> Finding:
    """Opened read only: a look must not make the file it looks for."""
    if not file.exists():
        return Finding("state", "embedded", Level.OK, f"{file} is not made yet: the node has not run")
    try:
        with read_only(file) as connection:
            count = connection.execute("select count(*) from entry").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        return trouble("state", "embedded", file, error)
    size = file.stat().st_size / 2**20
    return Finding(
        "state", "embedded", Level.OK, f"{counted(count, 'entry', 'entries')}, {size:.1f} MiB in {file}"
    )


def _refused(told: list[str], section: MemorySection, info: Mapping[str, Any]) -> list[Finding]:
    """What Redis does not let a node do, though it answers."""
    found = []
    full = [one for one in told if "maxmemory" in one]
    if full:
        size = f"{info.get('used_memory_human', '?')} of {info.get('maxmemory_human', '?')}"
        message = f"it is full and refuses writes ({size} used)"
        advice = "Raise maxmemory there. redis-cli --bigkeys says what is large."
        found.append(Finding("state", "redis memory", Level.PROBLEM, message, advice))
    denied = [one for one in told if one not in full]
    if denied:
        name, space = "NAME", section.namespace
        if (user := urlsplit(section.redis_url.get_secret_value()).username) is not None:
            name = user
        advice = (
            f"Give its ACL what a node needs: redis-cli acl setuser {name} '~{space}:*' '&{space}:*' "
            "+@read +@write +@scripting +@pubsub +@connection +time +info"
        )
        message = f"our user may not do all that a node does: {'; '.join(denied)}"
        found.append(Finding("state", "redis permissions", Level.PROBLEM, message, advice))
    return found


def _redis(info: Mapping[str, Any], where: str) -> list[Finding]:
    version, role = info.get("redis_version", "?"), info.get("role", "?")
    found = [Finding("state", "redis", Level.OK, f"Redis {version}, {role}, at {where}")]
    if role != "master":
        advice = "Point [memory] redis_url at the master, or set redis_sentinels."
        found.append(Finding("state", "redis role", Level.PROBLEM, f"it is a {role}: writes fail", advice))
    policy = info.get("maxmemory_policy", "noeviction")
    evicts = policy != "noeviction"
    advice = "Set maxmemory-policy noeviction: keys and budgets are state, not a cache." if evicts else ""
    level = Level.WARNING if evicts else Level.OK
    found.append(Finding("state", "redis eviction", level, str(policy), advice))
    kept = bool(info.get("aof_enabled"))
    level = Level.OK if kept else Level.WARNING
    advice = "" if kept else "Set appendonly yes, or a crash of Redis loses what it acknowledged."
    told = "append-only file" if kept else "no append-only file"
    found.append(Finding("state", "redis persistence", level, told, advice))
    if info.get("aof_last_write_status", "ok") != "ok" or info.get("rdb_last_bgsave_status", "ok") != "ok":
        advice = "Look at Redis' log and its disk."
        found.append(Finding("state", "redis disk", Level.PROBLEM, "its last write to disk failed", advice))
    return found
