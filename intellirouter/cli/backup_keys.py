"""The keys of a backup, from what the command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intellirouter.config import weak_secrets
from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import age
from intellirouter.ops.backup import passphrase as passphrases
from intellirouter.ops.backup.place import Directory, File


def public_keys(
    directory: Directory, recipients: Path | None, passphrase: Path | None
) -> tuple[Sequence[Any], Sequence[Any]]:
    """What a new backup is encrypted to, none means that it is not; and what opens it, where that is known. Raises `InvalidRequest`."""
    if recipients and passphrase:
        raise InvalidRequest("Name --recipients or --passphrase-file, not both.")
    if passphrase:
        words = passphrases.read(passphrase)
        if weak_secrets.is_known(words):
            raise InvalidRequest(
                f"{passphrase}: the passphrase is a placeholder or a common word, which opens for everybody. "
                "Make one: openssl rand -base64 24."
            )
        return passphrases.recipients(directory, words), passphrases.identities(directory, words)
    return age.recipients(recipients) if recipients else (), ()


def secret_keys(file: File, identity: Path | None, passphrase: Path | None) -> Sequence[Any]:
    """What may open a backup. Raises `InvalidRequest`."""
    if identity and passphrase:
        raise InvalidRequest("Name --identity or --passphrase-file, not both.")
    if passphrase:
        try:
            return passphrases.identities(file.parent, passphrases.read(passphrase))
        except FileNotFoundError:
            raise InvalidRequest(
                f"{file.parent} has no {passphrases.KEY}: the passphrase opens that file, and it opens the backup."
            ) from None
    return age.identities(identity) if identity else ()
