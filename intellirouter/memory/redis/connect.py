"""The client that `[memory]` describes: one node, Sentinel or Cluster, plain or TLS."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from intellirouter.config.schema.memory import MemorySection
from intellirouter.errors import ConfigError

Client = Redis | RedisCluster


def connect(section: MemorySection) -> Client:
    """A client that has not connected yet. Raises `ConfigError` for an address that is none."""
    url = urlsplit(section.redis_url.get_secret_value())
    if url.scheme not in {"redis", "rediss"}:
        raise ConfigError("memory.redis_url must start with redis:// or rediss://")
    options = _options(section, url.username, url.password)
    tls = _tls(section) if url.scheme == "rediss" else {}
    host, port = url.hostname or "127.0.0.1", url.port or 6379
    if section.redis_cluster:
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port)],
            require_full_coverage=False,
            max_connections=section.pool_size,
            ssl=bool(tls),
            **options,
            **tls,
        )
    options["db"] = _database(url.path)
    if section.redis_sentinels:
        return _sentinel(section, options, tls)
    pool = BlockingConnectionPool(
        connection_class=SSLConnection if tls else Connection,
        host=host,
        port=port,
        max_connections=section.pool_size,
        timeout=section.timeout,
        **options,
        **tls,
    )
    return Redis(connection_pool=pool)


def _options(section: MemorySection, username: str | None, password: str | None) -> dict[str, Any]:
    secret = section.redis_password.get_secret_value() if section.redis_password else None
    return {
        "username": unquote(username) if username else None,
        "password": secret or (unquote(password) if password else None),
        "socket_timeout": section.timeout,
        "socket_connect_timeout": section.timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


def _tls(section: MemorySection) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": section.redis_ca,
        "ssl_certfile": section.redis_certificate,
        "ssl_keyfile": section.redis_key,
    }
    return {"ssl_cert_reqs": "required"} | {
        name: str(path) for name, path in files.items() if path is not None
    }


def _sentinel(section: MemorySection, options: dict[str, Any], tls: dict[str, Any]) -> Redis:
    addresses = []
    for address in section.redis_sentinels:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError(f"memory.redis_sentinels: {address!r} is not host:port")
        addresses.append((host.strip("[]"), int(port)))
    timeouts = {key: value for key, value in options.items() if key.startswith("socket_") or key == "retry"}
    extra: dict[str, Any] = {"ssl": True, **tls} if tls else {}
    untyped: Any = Sentinel
    sentinel = untyped(addresses, sentinel_kwargs={**timeouts, **extra}, **options, **extra)
    master: Redis = sentinel.master_for(section.redis_sentinel_master, max_connections=section.pool_size)
    return master


def _database(path: str) -> int:
    name = path.strip("/")
    if name and not name.isdigit():
        raise ConfigError(f"memory.redis_url: {name!r} is not the number of a database")
    return int(name or 0)
