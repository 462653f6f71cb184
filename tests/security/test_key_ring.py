"""Who the owner of stored work is now, by the ring of keys."""

from __future__ import annotations

import hashlib
import time

import pytest

from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import KeyEnded
from intellirouter.inference.virtual_keys import VirtualKey, make_key, standings_of
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.authority import UnknownKey
from intellirouter.security.caller import ANONYMOUS, OPERATOR, Owner


def ring(*made: VirtualKey, **configured: str) -> KeyRing:
    """Keys of (name, tenant) in the configuration, and these beside them."""
    keys = [
        {"name": name, "tenant": tenant, "sha256": hashlib.sha256(name.encode()).hexdigest()}
        for name, tenant in configured.items()
    ]
    ring = KeyRing(AuthSection.model_validate({"enabled": True, "keys": keys}))
    ring.take(*standings_of(made))
    return ring


def key(name: str, **more: object) -> VirtualKey:
    return make_key(name, **more)[0]


LIVE = key("app", tenant="acme", models=("cheap",), budgets={"day": 1.0})


def test_a_key_acts_as_it_stands_now() -> None:
    keys = ring(LIVE, ann="acme")
    assert keys.caller_of(LIVE.caller().owner()) == LIVE.caller()
    ann = keys.authenticate({"authorization": "Bearer ann"})
    assert keys.caller_of(ann.owner()) == ann
    for old in (Owner("acme", "app"), Owner("acme", "ann")):  # stored by an earlier version, without a ref
        assert keys.caller_of(old).key_id == old.key_id


@pytest.mark.parametrize(
    ("made", "owner", "said"),
    [
        ((key("app", id="key_1", revoked=1.0),), Owner("default", "app", "key_1"), "was revoked"),
        ((key("app", id="key_1", expires=time.time() - 1),), Owner("default", "app", "key_1"), "has expired"),
        ((), Owner("default", "app", "key_1"), "not known"),
        ((LIVE,), Owner("acme", "app", "key_of_another"), "not known"),
        ((LIVE,), Owner("globex", "app", LIVE.id), "not known"),
        ((LIVE,), Owner("globex", "app"), "not known"),
        ((), Owner("acme", "ann", "config:ann"), "not known"),  # ann is of the default tenant now
        ((key("bob", id="key_2"),), Owner("default", "bob", "config:bob"), "not known"),
        ((), Owner("default", "anonymous", "anonymous"), "without a key"),
        ((key("app", revoked=1.0),), Owner("default", "app"), "was revoked"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_what_may_not_act_any_more_is_told_why(made: tuple[VirtualKey, ...], owner: Owner, said: str) -> None:
    with pytest.raises(KeyEnded, match=said):
        ring(*made, ann="default").caller_of(owner)


def test_without_keys_there_is_nobody_but_the_operator() -> None:
    off = KeyRing(AuthSection())
    assert off.caller_of(ANONYMOUS.owner()) == ANONYMOUS
    assert off.caller_of(OPERATOR.owner()) == OPERATOR
    for owner in (Owner("acme", "anonymous"), Owner("default", "ann", "config:ann")):
        with pytest.raises(UnknownKey):
            off.caller_of(owner)
