"""What asking who somebody is costs a request: keys, roles, tokens; and whether many people and roles make it dearer.

    scripts/bench identity

Prints microseconds a request, the best of fifteen rounds. Bounds of the design: a token that is known 60, keys and policies 5 more, and
the same with 10,000 users and 1,000 roles (a factor of 2 at most, as memory lies further away).
"""

from __future__ import annotations

import gc
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from multidict import CIMultiDict

from intellirouter.app.collecting import seldom_collected
from intellirouter.config.schema.auth import AuthSection
from intellirouter.identity.passwords import hashed
from intellirouter.identity.tokens import Tokens
from intellirouter.security.admission import admitted
from intellirouter.security.api_keys import KeyRing, hash_key
from intellirouter.security.people import Account, Directory, Team, new_account
from intellirouter.security.permissions import permission_of
from intellirouter.security.policy import Policy, read_policy

ROUNDS, TIMES = 15, 20_000
TOKEN_MICROSECONDS, POLICY_MICROSECONDS, FLAT = 60.0, 5.0, 2.0


def policy_of(roles: int, folder: str) -> Policy:
    """One with so many roles of its own, each with models and chains."""
    file = Path(folder) / f"policy-{roles}.yaml"
    rows = [
        f'  role-{n}:\n    permissions: ["inference:*", "chains:*"]\n    models: ["small-{n}*"]\n    chains: ["team-{n}-*"]'
        for n in range(roles)
    ]
    file.write_text("roles:\n" + "\n".join(rows) + "\n")
    return read_policy(file)


def ring_of(users: int, roles: int, folder: str) -> tuple[KeyRing, list[str]]:
    """A ring that knows so many people, and the tokens of a thousand of them at most."""
    policy = policy_of(roles, folder)
    password = hashed("a horse, a battery and a staple")
    people: list[Account] = [
        new_account(
            f"user-{n}",
            roles=(f"role-{n % roles}",),
            teams=(f"team-{n % 100}",),
            password=password,
        )
        for n in range(users)
    ]
    directory = Directory(policy)
    directory.take(people, [Team(name=f"team-{n}", created=0.0) for n in range(100)], {})
    digest = hash_key("sk-of-the-bench")
    section = AuthSection.model_validate(
        {"enabled": True, "keys": [{"name": "bench", "sha256": digest, "roles": ["developer"]}]}
    )
    ring = KeyRing(section, policy, directory)
    tokens = Tokens(directory, None)  # type: ignore[arg-type]  nobody new comes here
    tokens.sign_with(secrets.token_hex(32).encode())
    ring.tokens = tokens
    return ring, [tokens.made(one, "session", 3_600) for one in people[:1_000]]


def microseconds(act: Callable[[int], object], times: int = TIMES) -> float:
    """Of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for n in range(times):
            act(n)
        best = min(best, time.perf_counter() - began)
    return best / times * 1e6


def measured(users: int, roles: int, folder: str) -> dict[str, float]:
    """By what is asked."""
    ring, tokens = ring_of(users, roles, folder)
    gc.collect()
    gc.freeze()  # as a node does with what it read at its start
    asked = permission_of("chat_completions")
    assert asked is not None
    key = CIMultiDict({"authorization": "Bearer sk-of-the-bench"})
    brought = [CIMultiDict({"authorization": f"Bearer {token}"}) for token in tokens]
    caller = ring.authenticate(key)
    person = ring.authenticate(brought[0])
    for headers in brought:
        ring.authenticate(headers)  # from here on they are known
    count = len(brought)
    return {
        "a key": microseconds(lambda _: ring.authenticate(key)),
        "a token that is known": microseconds(lambda n: ring.authenticate(brought[n % count])),
        "what a key's roles let": microseconds(
            lambda _: admitted(caller, "Router", "chat_completions", asked)
        ),
        "what a person's roles let": microseconds(
            lambda _: admitted(person, "Router", "chat_completions", asked)
        ),
    }


def main() -> int:
    """Measure, tell, and say whether the bounds hold."""
    with tempfile.TemporaryDirectory() as folder:
        with seldom_collected():
            few = measured(10, 5, folder)
        with seldom_collected():
            many = measured(10_000, 1_000, folder)
    print(f"{'microseconds a request':<32}{'10 users':>12}{'10,000 users, 1,000 roles':>30}")
    for name in few:
        print(f"{name:<32}{few[name]:>12.2f}{many[name]:>30.2f}")
    held = {
        "a token that is known": many["a token that is known"] <= TOKEN_MICROSECONDS,
        "keys and policies": max(
            many["a key"], many["what a key's roles let"], many["what a person's roles let"]
        )
        <= POLICY_MICROSECONDS,
        "many as few": all(many[name] <= max(FLAT * few[name], few[name] + 1.0) for name in few),
    }
    for name, holds in held.items():
        print(f"{name}: {'holds' if holds else 'DOES NOT HOLD'}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
