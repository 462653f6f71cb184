"""`/admin/users`, `/admin/teams`, `/admin/roles`, and `GET /auth/whoami`.

Nobody gives what they do not hold: an account, a team or a key with roles beyond the caller's own is refused.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat.fields import required_text
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import Conflict, InvalidRequest, PermissionDenied
from intellirouter.identity import store
from intellirouter.inference.limits.terms import PERIODS
from intellirouter.roles.keys import KEY_RING, PEOPLE
from intellirouter.roles.router.records_query import whole
from intellirouter.security.caller import Caller
from intellirouter.security.giving import exceeding, foreign, of_role
from intellirouter.security.people import MAX_NAMES, Account, Kind, Team, is_name, new_account
from intellirouter.security.policy import Policy, no_role
from intellirouter.web.auditing import noted
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint

TEXTS = ("title", "email", "tenant")
NAMES = ("teams", "roles")
RATES = ("requests_per_minute", "tokens_per_minute")
FIELDS = (*TEXTS, *NAMES, *RATES, "budgets")
MAX_PAGE = 1_000
MAX_PASSWORD_BODY = 16_384


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _name(value: object, what: str = "name") -> str:
    if not isinstance(value, str) or not is_name(value):
        raise InvalidRequest(
            f"'{what}' is a text of at most 128 characters without blanks, '/', ':', '?', '#' and characters that nobody sees.",
            param=what,
        )
    return value


def checked_fields(
    body: dict[str, Any], policy: Policy, *, known: tuple[str, ...] = FIELDS
) -> dict[str, Any]:
    """The fields of an account or a team. Raises `InvalidRequest` naming the one that does not hold."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name not in known:
            raise InvalidRequest(
                f"There is no field '{name[:60]}'. Fields: {', '.join(known)}.", param=name[:60]
            )
        if name in TEXTS:
            if not isinstance(value, str) or len(value) > 256 or (name == "tenant" and not value):
                raise InvalidRequest(f"'{name}' is a text of at most 256 characters.", param=name)
        elif name in NAMES:
            if not isinstance(value, list) or len(value) > MAX_NAMES:
                raise InvalidRequest(f"'{name}' is a list of at most {MAX_NAMES} names.", param=name)
            value = tuple(_name(one, name) for one in value)  # noqa: PLW2901, RUF100  the checked form
            for role in value if name == "roles" else ():
                if role not in policy.roles:
                    raise InvalidRequest(f"'roles': {no_role(role, policy)}", param="roles")
        elif name in RATES:
            if value is not None and (
                not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**12
            ):
                raise InvalidRequest(f"'{name}' is a number from 0, or null for no limit.", param=name)
        elif not isinstance(value, dict) or not all(
            period in PERIODS and isinstance(limit, (int, float)) and 0 <= limit < 1e12
            for period, limit in value.items()
        ):
            raise InvalidRequest(f"'budgets' takes {', '.join(PERIODS)} with US dollars.", param="budgets")
        found[name] = value
    return found


def giver_of(request: web.Request) -> Caller:
    """Who asks, with all their roles: behind an endpoint a caller is narrowed to what it entered by."""
    return request.app[KEY_RING].caller_of(request[CALLER].owner())


def check_given(giver: Caller, policy: Policy, roles: tuple[str, ...]) -> None:
    """Raises `PermissionDenied` for a role with more than the giver holds itself, or the same on more."""
    for name in roles:
        if beyond := exceeding(of_role(name, policy), giver):
            raise PermissionDenied(
                f"You cannot give the role '{name}': it has more than you hold yourself ({beyond})."
            )


def check_made(request: web.Request, account: Account) -> None:
    """Raises `PermissionDenied` for an account that had more than the caller holds, by its teams, its name or its tenant too."""
    people, policy, giver = request.app[KEY_RING].people, request.app[KEY_RING].policy, giver_of(request)
    check_given(giver, policy, people.roles_of(account))
    check_tenant(account.tenant, giver)


def check_tenant(tenant: str, giver: Caller) -> None:
    """Raises `PermissionDenied` where somebody would be given something in a tenant that is not the giver's."""
    if foreign(tenant, giver):
        raise PermissionDenied(
            f"You cannot give anybody something in the tenant '{tenant[:60]}': you are of the tenant '{giver.tenant}'."
        )


def check_joined(request: web.Request, teams: Iterable[str]) -> None:
    """Raises `PermissionDenied` for a team of another tenant: its budget would be spent, and its own could not change it any more."""
    ring, giver = request.app[KEY_RING], giver_of(request)
    for name in teams:
        if any(foreign(tenant, giver) for tenant in ring.tenants_of(name)):
            raise PermissionDenied(
                f"You cannot put anybody into the team '{name[:60]}': it has members of another tenant."
            )


def _kind(value: object) -> Kind:
    if value not in ("user", "service"):
        raise InvalidRequest("'kind' is user or service.", param="kind")
    return value


async def list_users(request: web.Request) -> web.StreamResponse:
    """Users and service accounts by name: `?kind=user|service`, `?limit=100`, `?after=` the last name of the page before."""
    kind = request.query.get("kind")
    limit, after = whole(request.query, "limit", 100, 1, MAX_PAGE), request.query.get("after", "")
    found = await request.app[PEOPLE].accounts(None if kind is None else _kind(kind))
    rest = [account for account in found if account.name > after]
    page = rest[:limit]
    more = page[-1].name if len(rest) > len(page) else None
    return _json(
        {"object": "list", "data": [account.shown() for account in page], "next": more, "total": len(found)}
    )


async def get_user(request: web.Request) -> web.StreamResponse:
    """One account by id or name, with what it may: roles of its own, of its teams and of the policy, and permissions."""
    account = await request.app[PEOPLE].find(request.match_info["user"])
    people = request.app[KEY_RING].people
    caller = people.caller(account)
    told = {"effective_roles": people.roles_of(account), "permissions": sorted(caller.held)}
    return _json({**account.shown(), **told})


async def create_user(request: web.Request) -> web.StreamResponse:
    """A new one: `name`, and perhaps `kind` (user or service), `title`, `email`, `tenant`, `teams`, `roles`, `budgets`."""
    body = await read_json(request)
    name, kind = _name(body.pop("name", None)), _kind(body.pop("kind", "user"))
    policy = request.app[KEY_RING].policy
    fields = checked_fields(body, policy)
    made = new_account(name, kind, **fields)
    check_made(request, made)
    check_joined(request, made.teams)
    if request.app[KEY_RING].people.count >= store.MAX_ACCOUNTS:
        raise Conflict(f"There are {store.MAX_ACCOUNTS:,} accounts already: delete some.")
    account = await request.app[PEOPLE].create(made)
    noted(request, on=account.label, after=account.shown())
    return _json(account.shown(), 201)


async def update_user(request: web.Request) -> web.StreamResponse:
    """Change what the body names; all else stays."""
    policy, people = request.app[KEY_RING].policy, request.app[PEOPLE]
    fields = checked_fields(await read_json(request), policy)
    before = await _changeable(request)
    check_made(request, msgspec.structs.replace(before, **fields))
    check_joined(request, (name for name in fields.get("teams", ()) if name not in before.teams))
    account = await people.update(before.id, **fields)
    noted(request, on=account.label, before=before.shown(), after=account.shown())
    return _json(account.shown())


async def set_password(request: web.Request) -> web.StreamResponse:
    """Give a user a `password`. Whoever is signed in as it is signed out."""
    password = required_text(await read_json(request, MAX_PASSWORD_BODY), "password")
    account = await _changeable(request)
    if account.kind != "user" or account.issuer:
        raise InvalidRequest(
            "Only users of this installation have passwords: services have keys, others sign in elsewhere."
        )
    passwords = importlib.import_module("intellirouter.identity.passwords")  # argon2, for who has passwords
    if told := passwords.weakness(password, account.name):
        raise InvalidRequest(f"'password': {told}.", param="password")
    kept = await asyncio.to_thread(passwords.hashed, password)
    account = await request.app[PEOPLE].update(account.id, password=kept, signed_out=time.time())
    noted(request, on=account.label, after={"signed_out": True})
    return _json(account.shown())


async def _changeable(request: web.Request) -> Account:
    """The account of the path. Raises `PermissionDenied` where it may more than the caller: nobody takes over their admin."""
    account = await request.app[PEOPLE].find(request.match_info["user"])
    ring, giver = request.app[KEY_RING], giver_of(request)
    if foreign(account.tenant, giver):
        raise PermissionDenied(f"You cannot change '{account.name}': it is of another tenant.")
    if exceeding(ring.people.caller(account), giver):
        raise PermissionDenied(f"You cannot change '{account.name}': it holds more than you do.")
    return account


async def delete_user(request: web.Request) -> web.StreamResponse:
    """Forget one; its keys and what it left behind do nothing from then on."""
    account = await request.app[PEOPLE].delete((await _changeable(request)).id)
    noted(request, on=account.label, before=account.shown())
    return _json({"id": account.id, "object": account.kind, "deleted": True})


async def block_user(request: web.Request) -> web.StreamResponse:
    """Take nothing from it, nor from its keys, until it is unblocked."""
    account = await request.app[PEOPLE].block((await _changeable(request)).id)
    noted(request, on=account.label, after={"blocked": True})
    return _json(account.shown())


async def unblock_user(request: web.Request) -> web.StreamResponse:
    """Take a blocked one again."""
    account = await request.app[PEOPLE].unblock((await _changeable(request)).id)
    noted(request, on=account.label, after={"blocked": False})
    return _json(account.shown())


async def list_teams(request: web.Request) -> web.StreamResponse:
    """Every team, with how many accounts are in it."""
    people = request.app[PEOPLE]
    accounts = await people.accounts()
    data = [
        {**team.shown(), "members": sum(team.name in account.teams for account in accounts)}
        for team in await people.teams()
    ]
    return _json({"object": "list", "data": data})


async def _check_team(request: web.Request, name: str) -> None:
    """Raises `PermissionDenied` where what the team has is given to, or taken from, somebody whom the caller could not change."""
    people, ring, giver = request.app[PEOPLE], request.app[KEY_RING], giver_of(request)
    if any(foreign(tenant, giver) for tenant in ring.tenants_of(name)):
        raise PermissionDenied(f"You cannot change the team '{name}': it has members of another tenant.")
    roles = next((team.roles for team in await people.teams() if team.name == name), ())
    if any(exceeding(of_role(role, ring.policy), giver) for role in roles):
        raise PermissionDenied(f"You cannot change the team '{name}': it holds more than you do.")


async def create_team(request: web.Request) -> web.StreamResponse:
    """A new team: `name`, and perhaps `title` and `roles` that its members have."""
    body = await read_json(request)
    name, policy = _name(body.pop("name", None)), request.app[KEY_RING].policy
    fields = checked_fields(body, policy, known=("title", "roles"))
    check_given(giver_of(request), policy, fields.get("roles", ()))
    await _check_team(request, name)
    team = await request.app[PEOPLE].create_team(Team(name=name, created=time.time(), **fields))
    noted(request, on=f"team:{name}", after=team.shown())
    return _json(team.shown(), 201)


async def update_team(request: web.Request) -> web.StreamResponse:
    """Change a team's `title` or `roles`."""
    policy = request.app[KEY_RING].policy
    fields = checked_fields(await read_json(request), policy, known=("title", "roles"))
    check_given(giver_of(request), policy, fields.get("roles", ()))
    await _check_team(request, request.match_info["team"])
    team = await request.app[PEOPLE].update_team(request.match_info["team"], **fields)
    noted(request, on=f"team:{team.name}", after=team.shown())
    return _json(team.shown())


async def delete_team(request: web.Request) -> web.StreamResponse:
    """Forget a team; its members stay, without its roles."""
    name = request.match_info["team"]
    await _check_team(request, name)
    await request.app[PEOPLE].delete_team(name)
    noted(request, on=f"team:{name}")
    return _json({"name": name, "object": "team", "deleted": True})


async def list_roles(request: web.Request) -> web.StreamResponse:
    """Every role: the built-in ones and those of the policy file, with their rules."""
    return _json({"object": "list", "data": shown_roles(request.app[KEY_RING].policy)})


def shown_roles(policy: Policy) -> list[dict[str, object]]:
    """Roles as JSON."""
    return [
        {
            "name": role.name,
            "description": role.description,
            "built_in": role.built_in,
            "permissions": sorted(role.permissions),
            "rules": [
                {name: sorted(value) for name, value in msgspec.to_builtins(rule).items() if value}
                for rule in role.rules
            ],
        }
        for role in policy.roles.values()
    ]


async def whoami(request: web.Request) -> web.StreamResponse:
    """Who the caller is and what it may."""
    caller = request[CALLER]
    account = request.app[KEY_RING].people.account(caller.ref)
    return _json(
        {
            "object": account.kind if account is not None else "key",
            "name": account.name if account is not None else caller.key_id,
            "id": caller.ref,
            "tenant": caller.tenant,
            "team": caller.team,
            "roles": [] if account is None else request.app[KEY_RING].people.roles_of(account),
            "scopes": sorted(caller.scopes),
            "permissions": sorted(caller.held),
            "models": list(caller.models),
        }
    )


def check_owner(account: Account | None, tenant: str) -> None:
    """Raises `InvalidRequest` where a key cannot belong to the account, `Conflict` for one of another tenant."""
    if account is None:
        raise InvalidRequest("'owner' is the id of a user or a service account.", param="owner")
    if account.tenant != tenant:
        raise Conflict(
            f"'{account.name}' is of the tenant '{account.tenant}', not '{tenant[:60]}'.", param="owner"
        )


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    table = (
        ("GET", "/admin/users", list_users, ("kind", "limit", "after")),
        ("POST", "/admin/users", create_user, ()),
        ("GET", "/admin/users/{user}", get_user, ()),
        ("PATCH", "/admin/users/{user}", update_user, ()),
        ("DELETE", "/admin/users/{user}", delete_user, ()),
        ("PUT", "/admin/users/{user}/password", set_password, ()),
        ("POST", "/admin/users/{user}/block", block_user, ()),
        ("POST", "/admin/users/{user}/unblock", unblock_user, ()),
        ("GET", "/admin/teams", list_teams, ()),
        ("POST", "/admin/teams", create_team, ()),
        ("PATCH", "/admin/teams/{team}", update_team, ()),
        ("DELETE", "/admin/teams/{team}", delete_team, ()),
        ("GET", "/admin/roles", list_roles, ()),
    )
    made = [
        web.route(method, path, endpoint(f"admin_{handler.__name__}", handler, encode_error, query=query))
        for method, path, handler, query in table
    ]
    return [*made, web.get("/auth/whoami", endpoint("whoami", whoami, encode_error))]
