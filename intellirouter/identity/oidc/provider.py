"""One of `[[auth.oidc]]`, asked: RFC 6749 (codes, refresh), RFC 7636 (PKCE), RFC 8628 (devices), RFC 7009 (revocation), RFC 9207 (iss)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import structlog

from intellirouter.config.schema.identity import OidcSection
from intellirouter.errors import IntelliRouterError
from intellirouter.identity.issuers import FETCH_SECONDS, MAX_BYTES, Issuer, fetched
from intellirouter.identity.oidc.errors import NotLetIn, Pending, ProviderTrouble, SlowDown, WayLost
from intellirouter.identity.oidc.id_token import check_required, claims_of
from intellirouter.identity.oidc.way import DEVICE_GRANT, Way
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

AT_ONCE = 20
"""Questions to one provider under way: strangers, too, make us ask it."""
PATIENCE_SECONDS = 15.0
"""For one of them, and its turn."""
MAX_TOKEN = 20_000
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Vouched(msgspec.Struct, frozen=True):
    """Whom a provider vouches for, and what we may ask again with; `claims` is empty where a refresh told of nobody."""

    claims: dict[str, Any]
    refresh_token: str = ""


class DeviceCode(msgspec.Struct, frozen=True):
    """RFC 8628, 3.2. Times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class Provider:
    """Methods raise `NotLetIn` where the provider refuses somebody, `ProviderTrouble` where it does not answer as it should."""

    def __init__(self, section: OidcSection, door: OutgoingDoor) -> None:
        self.section = section
        self.issuer = Issuer(section, door)
        self._door = door
        self._places = asyncio.Semaphore(AT_ONCE)

    async def address(self, way: Way) -> str:
        """Where a browser is sent to sign in."""
        known = await self._known()
        asked = {
            "response_type": "code",
            "client_id": self.section.client_id,
            "redirect_uri": way.redirect_uri,
            "scope": " ".join(self.section.scopes),
            "state": way.state,
            "nonce": way.nonce,
            "code_challenge": way.code_challenge,
            "code_challenge_method": "S256",
        }
        if "offline_access" in self.section.scopes:
            asked["prompt"] = "consent"  # Core 11: without it the scope is passed over
        place = _url(known, "authorization_endpoint")
        return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode(asked)}"

    async def check_issuer(self, said: str | None) -> None:
        """Raises `NotLetIn` where the answer came from another provider than was asked (RFC 9207)."""
        if (
            said is None
            and (await self._known()).get("authorization_response_iss_parameter_supported") is True
        ):
            raise NotLetIn("The answer does not say which provider it is of.")
        if said is not None and said != self.section.issuer:
            raise NotLetIn("The answer is of another provider.")

    async def redeemed(self, code: str, way: Way) -> Vouched:
        """Whom an authorization code stands for."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": way.redirect_uri,
            "code_verifier": way.verifier,
        }
        return await self._vouched(await self._tokens(asked), nonce=way.nonce)

    async def renewed(self, refresh_token: str, subject: str) -> Vouched:
        """The same person as of now. Raises `NotLetIn` where the provider takes the token no more."""
        told = await self._tokens({"grant_type": "refresh_token", "refresh_token": refresh_token})
        fresh = _token(told, "refresh_token") or refresh_token
        if "id_token" not in told:
            return Vouched({}, fresh)
        found = await self._vouched(told, nonce=None)
        if found.claims["sub"] != subject:
            raise NotLetIn("The provider told of somebody else.")
        return Vouched(found.claims, fresh)

    @property
    def has_devices(self) -> bool | None:
        """Whether devices may sign in; None before the provider was asked for the first time."""
        known = self.issuer.known_document
        return None if known is None else isinstance(known.get("device_authorization_endpoint"), str)

    async def device(self) -> DeviceCode:
        """A code that somebody enters in a browser elsewhere."""
        known = await self._known()
        if not isinstance(known.get("device_authorization_endpoint"), str):
            raise NotLetIn(
                f"{self.section.shown} has no sign-in for devices: sign in with a browser on this machine."
            )
        status, told = await self._posted(
            _url(known, "device_authorization_endpoint"), {"scope": " ".join(self.section.scopes)}
        )
        names = ("device_code", "user_code", "verification_uri")
        if status != 200 or not all(isinstance(told.get(name), str) for name in names):
            raise self._trouble(f"the device endpoint answers {status} {_error(told)}")
        complete = told.get("verification_uri_complete")
        return DeviceCode(
            _token(told, "device_code"),
            str(told["user_code"])[:100],
            _web(str(told["verification_uri"])),
            _web(complete) if isinstance(complete, str) else "",
            _number(told.get("expires_in"), 600, 3600),
            _number(told.get("interval"), 5, 60),
        )

    async def polled(self, device_code: str) -> Vouched:
        """Who entered the code. Raises `Pending` until somebody did."""
        told = await self._tokens({"grant_type": DEVICE_GRANT, "device_code": device_code})
        return await self._vouched(told, nonce=None)

    async def revoke(self, refresh_token: str) -> None:
        """Have the provider forget what we could ask again with. What goes wrong is only logged: we have forgotten it already."""
        try:
            known = await self._known()
            if isinstance(known.get("revocation_endpoint"), str):
                await self._asked(
                    _url(known, "revocation_endpoint"),
                    {"token": refresh_token, "token_type_hint": "refresh_token"},
                )
        except IntelliRouterError as error:
            log.warning("oidc.not_revoked", provider=self.section.name, reason=error.message)

    async def end_address(self, back: str) -> str | None:
        """Where a browser is sent to sign out there too; None where that is not asked for, or the provider has no such place."""
        if not self.section.end_session:
            return None
        place = (await self._known()).get("end_session_endpoint")
        if not isinstance(place, str):
            return None
        asked = {"client_id": self.section.client_id, "post_logout_redirect_uri": back}
        return f"{_web(place)}{'&' if urlsplit(place).query else '?'}{urlencode(asked)}"

    async def _vouched(self, told: Mapping[str, Any], *, nonce: str | None) -> Vouched:
        token, access_token = told.get("id_token"), told.get("access_token")
        if not isinstance(token, str) or not isinstance(access_token, str):
            raise self._trouble("the token endpoint gives no ID token")
        claims = await claims_of(token, self.issuer, nonce=nonce, access_token=access_token)
        if self.section.userinfo:
            claims = {**await self._userinfo(access_token, claims["sub"]), **claims}
        check_required(claims, self.section)
        return Vouched(claims, _token(told, "refresh_token"))

    async def _userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        known = await self._known()
        ask = Ask(
            _url(known, "userinfo_endpoint"),
            headers={"accept": "application/json", "authorization": f"Bearer {access_token}"},
        )
        status, told = await self._sent(ask)
        if status != 200 or told.get("sub") != subject:  # Core 5.3.2: it must be of the same person
            raise self._trouble(f"userinfo answers {status}, or with somebody else")
        return told

    async def _tokens(self, asked: Mapping[str, str]) -> dict[str, Any]:
        status, told = await self._posted(_url(await self._known(), "token_endpoint"), asked)
        if status == 200:
            self.issuer.trouble = ""
            return told
        match _error(told):
            case "authorization_pending":
                raise Pending("Nobody has entered the code yet.")
            case "slow_down":
                raise SlowDown("Nobody has entered the code yet, and it is asked about too often.")
            case "expired_token" | "invalid_grant":
                raise WayLost(f"{self.section.shown} takes this sign-in no more: begin it again.")
            case "access_denied":
                raise NotLetIn(f"{self.section.shown} did not let you in.")
            case error:
                raise self._trouble(f"the token endpoint answers {status} {error}")

    async def _posted(self, url: str, asked: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return await self._sent(await self._form(url, asked))

    async def _asked(self, url: str, asked: Mapping[str, str]) -> None:
        ask = replace(await self._form(url, asked), seconds=FETCH_SECONDS, max_bytes=MAX_BYTES, trusted=True)
        await self._or_trouble(lambda: self._door.send(ask))

    async def _form(self, url: str, asked: Mapping[str, str]) -> Ask:
        """A form as the client that we are: by Basic where the provider says nothing else (RFC 6749, 2.3.1)."""
        headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        section, form = self.section, dict(asked)
        secret = section.client_secret.get_secret_value() if section.client_secret is not None else None
        ways = (await self._known()).get("token_endpoint_auth_methods_supported")
        if secret is None:
            form["client_id"] = section.client_id
        elif isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            form |= {"client_id": section.client_id, "client_secret": secret}
        else:
            pair = f"{quote(section.client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return Ask(url, "POST", headers, urlencode(form).encode())

    async def _sent(self, ask: Ask) -> tuple[int, dict[str, Any]]:
        return await self._or_trouble(lambda: fetched(self._door, ask))

    async def _known(self) -> dict[str, Any]:
        return await self._or_trouble(self.issuer.discovery)

    async def _or_trouble(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._places:
                return await ask()
        except (IntelliRouterError, ValueError, TimeoutError) as error:
            raise self._trouble(
                error.message if isinstance(error, IntelliRouterError) else str(error)
            ) from error

    def _trouble(self, reason: str) -> ProviderTrouble:
        self.issuer.trouble = reason
        log.warning("oidc.trouble", provider=self.section.name, reason=reason)
        return ProviderTrouble(
            f"{self.section.shown} cannot sign anybody in at this moment: the node's log says why."
        )


def _url(known: Mapping[str, Any], name: str) -> str:
    """An endpoint of the discovery document. Raises `ProviderTrouble`."""
    value = known.get(name)
    if not isinstance(value, str):
        raise ProviderTrouble(f"The identity provider publishes no {name}.")
    return _web(value)


def _web(value: str) -> str:
    if len(value) > 2_000 or urlsplit(value).scheme not in ("https", "http"):
        raise ProviderTrouble("The identity provider names an address that is none.")
    return value


def _token(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) and len(value) <= MAX_TOKEN else ""


def _error(told: Mapping[str, Any]) -> str:
    return str(told.get("error") or "without a reason")[:100]


def _number(value: object, otherwise: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        return otherwise
    return int(value) or 1
