"""Who a client is by its certificate."""

from __future__ import annotations


def names_of(peer: dict[str, object] | None) -> list[str]:
    """The names in a client's certificate, as Python decodes it: common names, DNS names, addresses of mail, URIs."""
    names: list[str] = []
    subject = (peer or {}).get("subject")
    for row in subject if isinstance(subject, tuple) else ():
        names += [value for kind, value in row if kind == "commonName"]
    others = (peer or {}).get("subjectAltName")
    names += [
        value
        for kind, value in (others if isinstance(others, tuple) else ())
        if kind in ("DNS", "email", "URI")
    ]
    return names
