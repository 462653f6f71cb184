"""What a Postgres says against a node, in words and with what helps."""

from __future__ import annotations

RIGHTS = (
    "select current_setting('default_transaction_read_only') = 'on', "
    "has_database_privilege(current_user, current_database(), 'CREATE'), current_user, current_database()"
)
"""Whether it takes writes from us, and lets us make a schema."""

_REMEDIES = (
    ("does not exist", "Make it (createdb, createuser), or correct {key}."),
    ("password authentication failed", "Correct user and password in {key}."),
    ("no password supplied", "Write the password into {key}, between the user and the host."),
    ("no pg_hba.conf entry", "Let this node in: a line for it in pg_hba.conf there."),
    (
        "too many clients",
        "Raise max_connections there, or end clients that are left: select * from pg_stat_activity.",
    ),
    (
        "remaining connection slots",
        "Raise max_connections there, or end clients that are left: select * from pg_stat_activity.",
    ),
    ("SSL", "Make sslmode in {key} fit what the server does."),
    ("resolve", "Check the name in {key}, and /etc/resolv.conf."),
    (
        "connection info string",
        "{key} begins with postgresql://, then user, host, port and name: postgresql://ir@db.example.com:5432/ir.",
    ),
    ("starting up", "It is starting: wait a moment."),
)


def remedy(reason: str, key: str) -> str:
    """What to do; `key` is the key of the configuration that names it."""
    for words, told in _REMEDIES:
        if words in reason:
            return told.format(key=key)
    return f"systemctl status postgresql; check {key}."


def refusal(found: tuple[bool, bool, str, str], *, made: bool) -> tuple[str, str] | None:
    """Why a node could not write there, and what helps, by the answer to `RIGHTS`; `made`: its tables are there already."""
    read_only, may_make, user, database = found
    if read_only:
        return (
            f"takes no writes from {user} (default_transaction_read_only)",
            f"alter database {database} set default_transaction_read_only = off, or point it at the primary.",
        )
    if not may_make and not made:
        return (
            f"does not let {user} make a schema in {database}",
            f"grant create on database {database} to {user}, or run `intellirouter db init` as who may.",
        )
    return None
