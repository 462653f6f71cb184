"""What a Redis says of itself, for an operator: read only."""

from __future__ import annotations

from typing import Any

from redis.exceptions import AuthenticationError, RedisError

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import StateError, StateUnavailable
from intellirouter.memory.redis.connect import connect


async def facts(section: MemorySection) -> dict[str, Any]:
    """`INFO` of one node. Raises `StateUnavailable` when it does not answer, `StateError` when it refuses us."""
    client = connect(section)
    try:
        if section.redis_cluster:
            answers = await client.info(target_nodes="random")
            return dict(answers)
        return dict(await client.info())
    except AuthenticationError as error:
        raise StateError("Redis refuses the password") from error
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"Redis does not answer: {type(error).__name__}") from error
    finally:
        await client.aclose()
