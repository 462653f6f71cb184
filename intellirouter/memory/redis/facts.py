"""What a Redis says of itself and lets our user do, for an operator. What is tried is undone in the same breath."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.redis.connect import Client, connect
from intellirouter.memory.redis.keys import Keys

T = TypeVar("T")

_TRY = """
redis.call('TIME')
redis.call('HSET', KEYS[1], 'v', '', 'n', '0')
redis.call('HINCRBYFLOAT', KEYS[1], 'n', '1')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('PTTL', KEYS[1])
redis.call('PERSIST', KEYS[1])
redis.call('HGET', KEYS[1], 'v')
redis.call('HMGET', KEYS[1], 'v', 'n')
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], '')
redis.call('LLEN', KEYS[1])
redis.call('LRANGE', KEYS[1], 0, 0)
redis.call('DEL', KEYS[1])
return 1
"""
"""What a node does to its keys, to one that nobody has: it is gone when the script is over."""


async def facts(section: MemorySection) -> dict[str, Any]:
    """`INFO` of one node. Raises `StateUnavailable` when it does not answer, `StateError` when it refuses us."""

    async def info(client: Client) -> dict[str, Any]:
        if section.redis_cluster:
            return dict(await client.info(target_nodes="random"))
        return dict(await client.info())

    return await _asked(section, info)


async def refused(section: MemorySection) -> list[str]:
    """What a node asks of Redis and our user is refused, in Redis' words: by its ACL, or since nothing may be written.

    Raises as `facts` does.
    """

    async def tried(client: Client) -> list[str]:
        keys, name = Keys(section.namespace), f"diagnose-{secrets.token_hex(8)}"
        acts: list[Callable[[], Awaitable[Any]]] = [
            _writes(client, made)
            for made in (keys.value(name), keys.log(name), keys.counter(name, 60), keys.lease(name))
        ]
        acts.append(lambda: client.execute_command("PUBLISH", keys.channel(name), b""))
        acts.append(lambda: _listens(client, keys.channel("*")))
        acts.append(lambda: client.scan(match=f"{keys.value(name)}*"))
        found = []
        for act in acts:
            try:
                await act()
            except ResponseError as error:  # NOPERM, OOM, READONLY, MISCONF
                found.append(str(error).partition("\n")[0][:200])
        return list(dict.fromkeys(found))

    return await _asked(section, tried)


def _writes(client: Client, key: str) -> Callable[[], Awaitable[Any]]:
    return lambda: client.eval(_TRY, 1, key)


async def _listens(client: Client, pattern: str) -> None:
    """Subscribe, and leave again."""
    listener: Any = client.pubsub()
    try:
        await listener.psubscribe(pattern)
        await listener.get_message(timeout=1)
    finally:
        await listener.aclose()


async def _asked(section: MemorySection, ask: Callable[[Client], Awaitable[T]]) -> T:
    """An answer. Raises as `facts` does."""
    client = connect(section)
    try:
        if section.redis_cluster:
            await client.initialize()
        return await ask(client)
    except (AuthenticationError, AuthorizationError) as error:
        raise StateError("Redis refuses the password") from error
    except NoPermissionError as error:
        raise StateError("Redis does not allow our user to ask INFO: give its ACL +info") from error
    except ResponseError as error:
        if str(error).startswith(("NOAUTH", "WRONGPASS")):
            raise StateError("Redis asks for a password, or refuses ours") from error
        raise StateError(f"Redis refuses: {str(error)[:200]}") from error
    except RedisClusterException as error:
        if "not enabled" not in str(error):
            raise StateUnavailable(f"Redis does not answer: {_reason(error)}") from error
        raise StateError("this Redis is no Cluster: switch [memory] redis_cluster off") from error
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"Redis does not answer: {_reason(error)}") from error
    finally:
        await client.aclose()


def _reason(error: Exception) -> str:
    """The library's words without its number of the error."""
    text = str(error).partition("\n")[0]
    return text.partition(" Error ")[0][:200] or type(error).__name__
