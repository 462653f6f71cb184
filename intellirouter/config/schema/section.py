"""What every section shares."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

Seconds = Annotated[float, Field(gt=0, le=86_400 * 365)]
"""A duration in seconds."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A TCP port; 0 asks the system for a free one."""


def _http(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    if not _is_address(value):
        raise ValueError(
            "is no address such as http://10.0.0.5:8000/v1: a host, no blanks, and a port of 65535 at most"
        )
    return value


def _is_address(value: str) -> bool:
    try:
        split = urlsplit(value)
        return bool(split.hostname) and split.port != 0 and not re.search(r"[\s\x00-\x1f]", value)
    except ValueError:  # a port that is none, a bracket that is not closed
        return False


HttpUrl = Annotated[str, AfterValidator(_http)]
"""Where a server is."""

OptionalUrl = Annotated[str | None, AfterValidator(lambda value: _http(value) if value else value)]
"""The same; an empty one takes back what another source says."""


def _told_to_nobody(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError(
            "is empty, which everybody knows: set it (openssl rand -hex 32), or leave the key out"
        )
    return value


SigningSecret = Annotated[SecretStr, AfterValidator(_told_to_nobody)]
"""What proves who calls, or lets somebody in: a variable that is set to nothing must not open the door to all."""


def matching(pattern: str, otherwise: str) -> AfterValidator:
    """Text that is like `pattern` as a whole; `otherwise` says it in words: `must be host:port`."""
    wanted = re.compile(pattern)

    def check(value: str) -> str:
        if not wanted.fullmatch(value):
            raise ValueError(otherwise)
        return value

    return AfterValidator(check)


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses and networks as they are written. Raises `ValueError`."""
    wrong = [network for network in value if not _is_network(network)]
    if wrong:
        listed = ", ".join(f"'{network[:60]}'" for network in wrong[:10])
        raise ValueError(f"{listed} {'are' if wrong[1:] else 'is'} no address or network such as 10.0.0.0/8")
    return value


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _postgres(value: SecretStr | None) -> SecretStr | None:
    """The address of a Postgres, without the driver that SQLAlchemy's form of it names; an empty one is none. Raises `ValueError`."""
    if value is None or not value.get_secret_value():
        return None
    address = re.sub(r"^postgresql\+\w+://", "postgresql://", value.get_secret_value())
    if not address.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return SecretStr(address)


PostgresUrl = Annotated[SecretStr | None, AfterValidator(_postgres)]
"""Of a database."""


_T = TypeVar("_T")


def empty(kind: type[_T]) -> Callable[[], _T]:
    """For `default_factory`: a table that is not there is read as an empty one, by what reads the table around it.

    `default_factory=kind` would have pydantic build a reader for each of them, which is most of what reading a configuration takes.
    """
    del kind
    return cast("Callable[[], _T]", dict)


class Section(BaseModel):
    """A frozen table that knows its keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        str_strip_whitespace=True,
        defer_build=True,
        allow_inf_nan=False,  # TOML can write them, and no limit, price or time is either
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_number_is_true(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes true for 1; whoever writes `port = true` means something else."""
        annotation: Any = cls.model_fields[info.field_name or ""].annotation
        kinds = _kinds(annotation)
        if not kinds & {bool, Any, object} and kinds & {int, float} and _holds_bool(value):
            raise ValueError("must be a number, not true or false")
        return value


@cache
def _kinds(annotation: Any) -> frozenset[Any]:
    """The plain types that a field may hold, within tables and lists too."""
    inner = get_args(annotation)
    return frozenset().union(*map(_kinds, inner)) if inner else frozenset((annotation,))


def _holds_bool(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_bool, value))
    if isinstance(value, dict):
        return any(map(_holds_bool, value.values()))
    return isinstance(value, bool)
