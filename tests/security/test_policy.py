"""Roles of a policy file: what they let, on what, and what is said of one that does not hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intellirouter.errors import ConfigError
from intellirouter.security.caller import Caller
from intellirouter.security.fence import Fence
from intellirouter.security.grants import Rule, both, grants_of
from intellirouter.security.policy import BUILT_IN, Policy, policy_of, read_policy
from tests.conftest import StartVendor
from tests.e2e.test_callers import answering, world
from tests.servers.installation import Installation, configured_key, installed
from tests.servers.vendor import Play, Received

POLICY = """
roles:
  support:
    description: answers customers
    inherits: [viewer]
    permissions: [inference:chat, "documents:search"]
    models: ["che*"]
    collections: [manuals]
  writer:
    rules:
      - permissions: ["documents:*", "collections:*"]
        collections: ["drafts-*"]
      - permissions: [documents:search]
        collections: [manuals]
  nothing:
    permissions: [admin:keys:read]
    tenants: [globex]
bindings:
  - role: support
    users: [ann]
    teams: [helpdesk]
"""


def made(text: str, tmp_path: Path, name: str = "rbac.yaml") -> Policy:
    file = tmp_path / name
    file.write_text(text)
    return read_policy(file)


def caller(policy: Policy, *roles: str, tenant: str = "acme", fence: Fence | None = None) -> Caller:
    permissions, grants = policy.granted(roles, tenant)
    return Caller("x", tenant, permissions=permissions, grants=grants, fence=fence)


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    toml = """
[roles.support]
inherits = ["viewer"]
permissions = ["inference:chat", "documents:search"]
models = ["che*"]
collections = ["manuals"]
"""
    one, other = made(POLICY, tmp_path), made(toml, tmp_path, "rbac.toml")
    assert one.roles["support"].rules == other.roles["support"].rules
    assert one.bound("ann", (), "acme") == one.bound("bob", ("helpdesk",), "acme") == ("support",)
    assert one.bound("bob", ("sales",), "acme") == ()


def test_resources_hold_for_who_enters_by_their_permission(tmp_path: Path) -> None:
    policy = made(POLICY, tmp_path)
    support = caller(policy, "support")
    asking = support.entering("inference:chat")
    assert asking.may_use("cheap") and not asking.may_use("smart")
    # viewer's own rule lets it search everywhere
    assert asking.may_use_collection("payroll")
    assert not asking.may_use_persona("any"), "support has no personas:use"
    writer = caller(policy, "writer")
    assert writer.entering("documents:write").may_use_collection("drafts-1")
    assert not writer.entering("documents:write").may_use_collection("manuals")
    assert writer.entering("documents:search").may_use_collection("manuals")
    assert not writer.entering("documents:search").may_use_collection("payroll")
    assert not writer.entering().may_use("cheap"), "no rule lets it use models"


def test_a_rule_for_other_tenants_lets_nothing(tmp_path: Path) -> None:
    policy = made(POLICY, tmp_path)
    assert not caller(policy, "nothing").may("admin:keys:read")
    assert caller(policy, "nothing", tenant="globex").may("admin:keys:read")


def test_unknown_roles_and_no_roles_let_nothing(tmp_path: Path) -> None:
    for roles in ((), ("nobody",)):
        assert BUILT_IN.granted(roles, "acme")[0] == {"self:read"}


def test_rules_without_resources_cost_nothing() -> None:
    assert BUILT_IN.granted(("developer",), "acme")[1] is None
    assert caller(BUILT_IN, "admin").grants is None


def test_a_key_narrows_its_roles_and_never_widens_them(tmp_path: Path) -> None:
    policy = made(POLICY, tmp_path)
    fenced = caller(policy, "writer", fence=Fence(collections=("drafts-1", "payroll", "manuals")))
    there = fenced.entering("documents:write")
    assert there.may_use_collection("drafts-1")
    assert not there.may_use_collection("payroll") and not there.may_use_collection("manuals")
    assert not there.may_use_collection("drafts-2")


@pytest.mark.parametrize(
    ("one", "other", "rest"),
    [
        ((), ("a",), ("a",)),
        (("a*",), ("ab",), ("ab",)),
        (("ab",), ("a*",), ("ab",)),
        (("a*",), ("ab*",), ("ab*",)),
        (("a",), ("b",), ("",)),
        (("a*",), ("*b",), ("",)),
        (("[x]",), ("[x]",), ("[x]",)),
        (("?",), ("a",), ("",)),
    ],
)
def test_both(one: tuple[str, ...], other: tuple[str, ...], rest: tuple[str, ...]) -> None:
    assert both(one, other) == rest


def test_two_rules_do_not_lend_one_another_their_resources() -> None:
    chat = Rule(frozenset({"inference:chat"}), models=("small",))
    embed = Rule(frozenset({"inference:embed"}))
    permissions, grants = grants_of([chat, embed])
    both_ = Caller("x", permissions=permissions, grants=grants)
    assert not both_.entering("inference:chat").may_use("large")
    assert both_.entering("inference:embed").may_use("large")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roles: [", "not valid YAML"),
        ("- a", "the policy: is to be a table"),
        ("rules: {}", "has no 'rules'"),
        ("roles: {a: {permissions: [inference:chatt]}}", "did you mean 'inference:chat'?"),
        ("roles: {a: {permissions: [inference:chat], modles: [x]}}", "has no 'modles'"),
        ("roles: {a: {permissions: [inference:chat], models: []}}", "roles.a.models: is empty"),
        ("roles: {a: {models: [x]}}", "names no permissions"),
        ("roles: {a: {inherits: [b]}, b: {inherits: [a]}}", "inherits itself"),
        ("roles: {a: {inherits: [zz]}}", "there is no role 'zz'"),
        ("roles: {admin: {permissions: [models:read]}}", "cannot be changed"),
        ("bindings: [{role: boss, users: [ann]}]", "there is no role 'boss'"),
        ("bindings: [{role: admin}]", "names no users"),
        ("roles: {a: {permissions: [peers:ask]}}", "no permission 'peers:ask'"),
        ("a: &x 1\nb: *x", "aliases"),
    ],
)
def test_what_does_not_hold_is_said_and_nothing_is_let(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auth\.policy_file") as caught:
        made(text, tmp_path)
    assert said in caught.value.message, caught.value.message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        policy_of({"roles": {"a": {"permissions": ["x:y"]}, "b": {"permissions": ["z:w"]}}})
    assert "roles.a" in caught.value.message and "roles.b" in caught.value.message


def told_or_asked(request: Received) -> Play:
    """A provider, a tool and a hook in one."""
    return answering(request) if request.path.startswith("/v1/") else Play.json({"score": 1})


@pytest.fixture
async def place(tmp_path: Path, start_vendor: StartVendor) -> AsyncIterator[Installation]:
    file = tmp_path / "rbac.yaml"
    file.write_text(
        "roles:\n  small: {permissions: [inference:chat, models:read], models: ['chea*']}\n"
        "  reader:\n    permissions: ['documents:search', 'collections:read', 'personas:*', 'chains:*']\n"
        "    collections: [manuals]\n    personas: [analyst]\n    chains: ['own-*']\n"
        "  runner:\n    permissions: ['chains:*', 'runs:*', 'schedules:*', 'hooks:*', 'tools:use']\n"
        "    chains: ['own-*']\n    tools: [weather]\n"
    )
    vendor = await start_vendor(told_or_asked)
    tool = '[chain_engine.tools.{name}]\nurl = "{url}/{name}"\n'
    told = "".join(tool.format(name=name, url=vendor.url) for name in ("weather", "payroll"))
    told += f'[chain_engine.hooks.judge]\nkind = "evaluate"\nsecret = "s"\nurl = "{vendor.url}/judge"\n'
    toml = (told + world(vendor)).replace(
        "[auth]\nenabled = true", f'[auth]\nenabled = true\npolicy_file = "{file}"'
    )
    assert "policy_file" in toml
    toml += configured_key("librarian", scopes="inference chains")
    for role in ("small", "reader", "runner"):
        toml += configured_key(role, scopes="inference").replace(
            'scopes = ["inference"]', f'roles = ["{role}"]'
        )
    async with installed("one", tmp_path, toml) as there:
        yield there


async def test_a_running_node_holds_to_it(place: Installation) -> None:
    assert (await place.chat("small", "cheap"))[0] == 200
    status, said = await place.chat("small", "smart")
    assert status == 403 and "may not use the model" in said["error"]["message"]
    _, listed = await place.ask("Router", "small", "GET", "/v1/models")
    assert "cheap" in str(listed) and "smart" not in str(listed)
    assert (await place.chat("reader", "cheap"))[0] == 403
    for name in ("manuals", "payroll"):
        await place.ingest("librarian", name, "a.txt", "Coal is black.")
    assert (await place.retrieve("reader", "manuals", "coal"))[0] == 200
    assert (await place.retrieve("reader", "payroll", "coal"))[0] == 404
    status, listed = await place.ask("PersonaLayer", "reader", "GET", "/v1/personas")
    assert [one["id"] for one in listed["data"]] == ["analyst"]
    assert (await place.ask("PersonaLayer", "reader", "GET", "/v1/personas/assistant"))[0] == 404
    source = "chain: {name: NAME}\nsteps:\n  - id: a\n    set: {b: '1'}\n"
    for name, expected in (("other", 403), ("own-one", 201)):
        body = {"source": source.replace("NAME", name)}
        status, said = await place.ask("ChainEngine", "reader", "PUT", f"/v1/chains/{name}", body)
        assert status == expected, said
    assert (await place.ask("ChainEngine", "reader", "POST", "/v1/chains/other/runs", {}))[0] == 404


CALLING = "chain: {{name: {name}}}\nsteps:\n  - {{id: a, {step}}}\n"


async def test_chains_and_tools_of_a_role_hold_for_all_that_comes_of_them(place: Installation) -> None:
    async def ask(method: str, path: str, body: object = None, key: str = "runner") -> tuple[int, Any]:
        return await place.ask("ChainEngine", key, method, path, body)

    for name, step in (
        ("other", "set: {secret: \"'hidden'\"}"),
        ("own-weather", "tool: {name: weather, arguments: {}}"),
        ("own-payroll", "tool: {name: payroll, arguments: {}}"),
        ("own-call", "chain: {name: other}"),
    ):
        await place.put_chain("librarian", name, CALLING.format(name=name, step=step))
    run = await place.run("librarian", "other")
    assert run["status"] == "succeeded", run
    for name in ("other", "own-weather"):
        body = {"cron": "0 0 1 1 *", "chain": name}
        assert (await ask("PUT", f"/v1/schedules/of-{name}", body, "librarian"))[0] == 201
    # the runs of a chain that it may not use, and their deliveries, are not there
    one = f"/v1/runs/{run['id']}"
    for method, path, sent in (
        *(("GET", f"{one}{below}", None) for below in ("", "/steps", "/events", "/timeline")),
        *(("POST", f"{one}/{act}", None) for act in ("cancel", "resume")),
        ("POST", f"{one}/fork", {"step": 1}),
        ("POST", f"{one}/signals/go", {}),
    ):
        assert (await ask(method, path, sent))[0] == 404, path
    for path in ("/v1/runs", "/v1/runs?chain=other", "/v1/hooks", "/v1/schedules"):
        status, listed = await ask("GET", path)
        assert status == 200
        assert run["id"] not in str(listed["data"]) and "of-other" not in str(listed["data"]), path
        _, theirs = await ask("GET", path, key="librarian")
        assert run["id"] in str(theirs["data"]) or "of-other" in str(theirs["data"]), path
    assert "of-own-weather" in str((await ask("GET", "/v1/schedules"))[1])
    # nor is a schedule of it, whatever is done to it
    one = "/v1/schedules/of-other"
    for method, path in (
        ("GET", one),
        ("DELETE", one),
        *(("POST", f"{one}/{act}") for act in ("pause", "trigger")),
    ):
        assert (await ask(method, path))[0] == 404, path
    assert (await ask("PUT", one, {"cron": "* * * * *", "chain": "own-weather"}))[0] == 403
    # a chain that it may start leads to no other, and to none but its tools
    assert (await ask("POST", "/v1/chains/own-call/runs", {}))[0] == 403
    run = await place.run("runner", "own-weather")
    assert run["status"] == "succeeded", run
    run = await place.run("runner", "own-payroll")
    assert (run["status"], run["error"]["cause"]) == ("failed", "not_found"), run
    assert (await place.run("librarian", "own-payroll"))["status"] == "succeeded"


async def test_triggers_lead_to_no_chain_that_one_may_not_use(place: Installation) -> None:
    async def ask(method: str, path: str, body: object = None, key: str = "runner") -> tuple[int, Any]:
        return await place.ask("ChainEngine", key, method, path, body)

    for name in ("other", "own-one"):
        await place.put_chain(
            "librarian", name, CALLING.format(name=name, step="set: {secret: \"'hidden'\"}")
        )
    one, event = "/v1/triggers/of-other", {"kind": "event", "type": "rain", "chain": "other"}
    assert (await ask("PUT", one, event, "librarian"))[0] == 201
    tries = (("GET", one), ("DELETE", one), *(("POST", f"{one}/{act}") for act in ("pause", "resume")))
    for method, path in tries:
        assert (await ask(method, path))[0] == 404, path
    assert (await ask("PUT", one, {**event, "chain": "own-one"}))[0] == 403
    assert "of-other" not in str((await ask("GET", "/v1/triggers"))[1])
    assert (await ask("POST", "/v1/events", {"type": "rain"}))[1]["runs"] == []
    assert len((await ask("POST", "/v1/events", {"type": "rain"}, "librarian"))[1]["runs"]) == 1
    # nor is one told of what came of it
    follows = {"kind": "run", "of": "oth*", "chain": "own-one", "input": {}}
    for name, key in (("curious", "runner"), ("entitled", "librarian")):
        assert (await ask("PUT", f"/v1/triggers/{name}", follows, key))[0] == 201
    await place.run("librarian", "other")

    async def fired(name: str) -> bool:
        return bool((await ask("GET", f"/v1/triggers/{name}", key="librarian"))[1]["last_fired_at"])

    async with asyncio.timeout(60):
        while True:  # the one behind the other
            if await fired("entitled"):
                break
            await asyncio.sleep(0.05)
    assert not await fired("curious")
