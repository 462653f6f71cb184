"""What a Redis says of itself, for an operator: read only."""

from __future__ import annotations

from typing import Any

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

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
    except (AuthenticationError, AuthorizationError) as error:
        raise StateError("Redis refuses the password") from error
    except NoPermissionError as error:
        raise StateError("Redis does not allow our user to ask INFO: give its ACL +info") from error
    except ResponseError as error:
        if str(error).startswith(("NOAUTH", "WRONGPASS")):
            raise StateError("Redis asks for a password, or refuses ours") from error
        raise StateError(f"Redis refuses: {str(error)[:200]}") from error
    except (RedisError, OSError) as error:
        raise StateUnavailable(f"Redis does not answer: {_reason(error)}") from error
    finally:
        await client.aclose()


def _reason(error: Exception) -> str:
    """The library's words without its number of the error."""
    text = str(error).partition("\n")[0]
    return text.partition(" Error ")[0][:200] or type(error).__name__
