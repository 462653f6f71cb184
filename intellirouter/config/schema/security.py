"""`[security]`: the key of what is kept on disk."""

from __future__ import annotations

import base64
import binascii

from pydantic import Field, SecretStr, field_validator

from intellirouter.config.schema.section import Section

KEY_BYTES = 32


def master_key(text: str) -> bytes:
    """A key of 32 bytes, written as 64 hexadecimal digits or in base64. Raises `ValueError`."""
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        key = base64.b64decode(text.translate(str.maketrans("-_", "+/")), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("is not 32 bytes in hexadecimal or base64 (openssl rand -hex 32 makes one)")
    return key


class SecuritySection(Section):
    """`[security]`. Without a key what is kept is kept as it is, readable to whoever reads the disk."""

    key: SecretStr | None = Field(
        default=None,
        description="32 bytes in hexadecimal or base64: conversations, answers, documents, chains, people, secrets set at run time and the record's content are encrypted with it",
    )
    previous_keys: tuple[SecretStr, ...] = Field(
        default=(),
        description="keys from before, that what was written with them can still be read with, until `intellirouter keys rotate-master` is done",
    )

    @field_validator("key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        master_key(value.get_secret_value())
        return value

    @field_validator("previous_keys")
    @classmethod
    def _keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            master_key(key.get_secret_value())
        return value
