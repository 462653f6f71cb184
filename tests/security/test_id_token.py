"""Which ID tokens are taken for a sign-in: by their signature, whom they were made for, and the sign-in they belong to."""

from __future__ import annotations

import base64
import hashlib
import time
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from intellirouter.config.schema.identity import OidcSection
from intellirouter.identity.oidc.errors import NotLetIn
from intellirouter.identity.oidc.id_token import MAX_CHARACTERS, check_required, claims_of

KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
SECTION = OidcSection.model_validate(
    {
        "name": "corp",
        "issuer": "https://idp.example.com",
        "client_id": "us",
        "required_claims": {"hd": "a.com"},
    }
)
ACCESS = "an-access-token"
HASH = base64.urlsafe_b64encode(hashlib.sha256(ACCESS.encode()).digest()[:16]).rstrip(b"=").decode()


def token(headers: dict[str, Any], key: Any = KEY, **changes: Any) -> str:
    now = int(time.time())
    told = {"iss": SECTION.issuer, "aud": "us", "sub": "ann", "iat": now, "exp": now + 300, "nonce": "n"}
    claims = {name: value for name, value in {**told, **changes}.items() if value is not None}
    return jwt.encode(claims, key, "ES256", headers=headers)


async def taken(text: str, nonce: str | None = "n") -> dict[str, Any]:
    issuer: Any = SimpleNamespace(section=SECTION, key=lambda kid, algorithm: KEY.public_key())
    return await claims_of(text, issuer, nonce=nonce, access_token=ACCESS)


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({}, {}),  # a provider with one key need not name it
        ({"kid": "one"}, {}),
        ({"kid": "one"}, {"aud": ["us"]}),
        ({"kid": "one"}, {"azp": "us"}),
        ({"kid": "one"}, {"azp": "us", "aud": ["us", "others"]}),
        ({"kid": "one"}, {"at_hash": HASH}),
    ],
)
async def test_a_token_of_this_sign_in_is_taken(headers: dict[str, Any], changes: dict[str, Any]) -> None:
    assert (await taken(token(headers, **changes)))["sub"] == "ann"


@pytest.mark.parametrize(
    ("headers", "changes", "words"),
    [
        ({"kid": "k" * 1_000}, {}, "its key's name is none"),
        ({"kid": "one", "crit": ["exp"]}, {}, "refused"),
        ({}, {"key": OTHER}, "refused"),
        ({}, {"aud": "others"}, "refused"),
        ({}, {"iss": "https://evil.example.com"}, "refused"),
        ({}, {"exp": 1}, "refused"),
        ({}, {"iat": None}, "refused"),
        ({}, {"sub": "s" * 5_000}, "its 'sub' is no name"),
        ({}, {"sub": ""}, "its 'sub' is no name"),
        ({}, {"azp": "others"}, "another program"),
        ({}, {"aud": ["us", "others"]}, "another program"),
        ({}, {"nonce": "m"}, "another sign-in"),
        ({}, {"nonce": None}, "another sign-in"),
        ({}, {"nonce": 1}, "another sign-in"),
        ({}, {"at_hash": HASH[::-1]}, "access token"),
        ({}, {"pad": "x" * MAX_CHARACTERS}, "too long"),
    ],
)
async def test_another_token_is_refused_and_told_why(
    headers: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(NotLetIn) as refused:
        await taken(token(headers, **changes))
    assert words in refused.value.message


async def test_a_token_of_a_refresh_needs_no_nonce() -> None:
    assert (await taken(token({}, nonce=None), nonce=None))["sub"] == "ann"


def test_a_claim_that_is_required_must_be_there_with_its_value() -> None:
    check_required({"hd": "a.com"}, SECTION)
    for claims in ({}, {"hd": "b.com"}):
        with pytest.raises(NotLetIn):
            check_required(claims, SECTION)
