"""Steps that reach outside, on both runtimes: HTTP, tools, secrets, and agents that call them."""

from __future__ import annotations

import base64
import contextlib
import json
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from intellirouter.chains.check import Known, check
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.schema import KINDS, SCHEMA
from intellirouter.chains.source import InvalidChain, read
from intellirouter.chains.steps.attempts import Worker
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.config.schema.outgoing import OutgoingSection
from intellirouter.errors import ConfigError
from intellirouter.roles.chain_engine.outside import Outside as OutsidePort
from intellirouter.transport.outgoing.door import OutgoingDoor
from tests.chains.offline import Model, Shelf, chain
from tests.chains.outside import KEPT, Outside, outside
from tests.servers.name_server import name_server
from tests.transport.outgoing.ways import WAYS, ZONE

Run = Callable[..., Awaitable[Any]]


class Persons:
    async def resolve(self, name: str, variables: Any, ticket: Ticket) -> dict[str, Any]:
        return {"name": name, "version": 1, "model": None, "messages": [{"role": "system", "content": name}]}


def parts(there: Outside, door: OutgoingDoor, model: Model) -> Ports:
    settings = tomllib.loads(there.toml())
    port = OutsidePort(door, ChainEngineSection(**settings["chain_engine"]))
    return Ports(models=model, search=Shelf(), web=port, tools=port, personas=Persons())


@contextlib.asynccontextmanager
async def running(kind: str, folder: Path, ports: Ports) -> AsyncIterator[Run]:
    """Runs a chain to its outcome, `{"ok"}` or `{"error"}`, on either runtime."""
    worker = Worker(ports)
    if kind == "here":
        runtime = InProcessRuntime(worker)

        async def run(text: str, inputs: Any = None, library: Any = None, run_id: str | None = None) -> Any:
            try:
                return {"ok": await runtime.run(chain(text), inputs or {}, library, run_id=run_id)}
            except Exception as error:  # noqa: BLE001  compared with what the durable one records
                return {"error": {"code": error.code, "message": error.message, **error.details}}  # type: ignore[attr-defined]

        yield run
        return
    async with opened(f"sqlite:///{folder}/runs.db", worker) as durable:

        async def kept(text: str, inputs: Any = None, library: Any = None, run_id: str | None = None) -> Any:
            started = await durable.start(chain(text), inputs or {}, library, run_id=run_id)
            for name in ("go",):
                await durable.signal(started, name, {"by": "ann"}) if f"signal: {name}" in text else None
            return await durable.result(started)

        yield kept


@pytest.fixture(params=["here", "durable"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.asynccontextmanager
async def standing(
    kind: str,
    folder: Path,
    model: Model,
    there: Outside | None = None,
    section: OutgoingSection | None = None,
) -> AsyncIterator[tuple[Outside, Run]]:
    """A place outside, and what runs chains that may ask it."""
    async with contextlib.AsyncExitStack() as stack:
        there = there or await stack.enter_async_context(outside())
        made = section or OutgoingSection(**tomllib.loads(there.toml())["outgoing"])
        door = await stack.enter_async_context(contextlib.aclosing(OutgoingDoor(made)))
        yield there, await stack.enter_async_context(running(kind, folder, parts(there, door, model)))


RETRY = "retry: {attempts: 3, delay: 1ms}"
SPELLINGS = "header json bytes utf-16 utf-16-le deep refused-utf-8 refused-utf-16-le".split()


def leaks(told: Any, secret: str) -> bool:
    """Whether a step's result holds a secret, as a text, or as bytes in base64."""
    if isinstance(told, dict):
        named = (
            [base64.b64decode(told["base64"]).replace(b"\0", b"").decode("latin-1")]
            if "base64" in told
            else []
        )
        return any(leaks(each, secret) for each in (*told, *told.values(), *named))
    if isinstance(told, list):
        return any(leaks(each, secret) for each in told)
    said = str(told).replace("\0", "")
    return secret in said or quote(secret, safe="") in said


def test_a_leak_would_be_seen() -> None:
    assert leaks({"a": [{"base64": base64.b64encode(KEPT.encode("utf-16")).decode()}]}, KEPT)
    assert leaks([{f"x {quote(KEPT, safe='')}": 1}], KEPT)
    assert not leaks({"a": ["hidden", {"base64": ""}]}, KEPT)


async def test_steps_reach_outside(kind: str, tmp_path: Path) -> None:
    async with standing(kind, tmp_path, Model()) as (there, run):

        async def one(step: str, run_id: str | None = None, **more: str) -> Any:
            text = f"chain: {{name: t}}\nsteps: [{{id: a, {step}}}]\noutput: steps.a"
            outcome = await run(text, run_id=run_id)
            return outcome.get("ok") or outcome["error"]

        url = there.url
        got = await one(
            f"http: {{url: '{url('/echo?z=1')}', query: {{a: 'b c&d', n: [1, 2]}}, headers: {{x-y: z}}}}",
            f"k{kind}",
        )
        assert (got["status"], got["url"]) == (200, url("/echo"))
        assert got["body"]["path"] == "/echo?z=1&a=b%20c%26d&n=1&n=2"
        assert (got["body"]["key"], got["body"]["headers"]["x-y"]) == (f"k{kind}/a", "z")
        posted = await one(f"http: {{method: POST, url: '{url('/echo')}', body: {{n: 1}}}}")
        assert (posted["body"]["body"], posted["body"]["headers"]["content-type"]) == (
            '{"n":1}',
            "application/json",
        )
        assert (await one(f"http: {{method: PUT, url: '{url('/echo')}', body: hello}}"))["body"][
            "body"
        ] == "hello"
        assert "base64" in await one(f"http: {{url: '{url('/picture')}'}}")
        assert (await one(f"http: {{url: '{url('/latin')}'}}"))["body"] == "grün"
        for codec in (
            "punycode",
            "idna",
            "unicode_escape",
            "no-such",
            "x" * 5_000,
        ):  # no document is in those
            assert "base64" in await one(f"http: {{url: '{url('/codec')}', query: {{as: {codec}}}}}"), codec
        # failures: retried, accepted, told apart
        there.heard.clear()
        assert (await one(f"http: {{url: '{url('/flaky')}'}}, {RETRY}"))["status"] == 200
        assert len({each["key"] for each in there.heard}) == 1
        assert len(there.heard) == 3
        refused = await one(f"http: {{url: '{url('/no')}'}}")
        assert (refused["cause"], "answered 404" in refused["message"]) == ("upstream_rejected", True)
        assert (await one(f"http: {{url: '{url('/no')}', accept_status: [404]}}"))["status"] == 404
        fell = await one(f"http: {{url: '{url('/no')}'}}, fallback: {{http: {{url: '{url('/echo?fell')}'}}}}")
        assert fell["body"]["key"].endswith("/a/fallback")
        # an answer is read no further than the step takes, and not asked for again
        there.heard.clear()
        for step in (
            f"http: {{url: '{url('/echo?big')}'}}",
            "tool: {name: weather, arguments: {city: Wien}}",
        ):
            much = await one(f"{step}, limits: {{bytes: 20}}, {RETRY[:-1]}, errors: [any]}}")
            assert (much["cause"], "more than 20 bytes" in much["message"]) == ("result_too_large", True)
            assert (
                "status" in (fits := await one(f"{step}, limits: {{bytes: 2kB}}")) or fits["city"] == "Wien"
            )
        assert len(there.heard) == 4
        # tools
        assert (await one("tool: {name: weather, arguments: {city: Wien}}"))["city"] == "Wien"
        assert await one("tool: {name: order, arguments: {id: 'a/b', note: x}}") == {"order": "a/b"}
        assert there.heard[-1]["path"] == "/orders/a%2Fb"
        assert json.loads(there.heard[-1]["body"]) == {"note": "x"}
        for wrong in (
            "name: weather",
            "name: weather, arguments: {city: 7}",
            "name: order, arguments: {id: '..'}",
        ):
            assert (await one(f"tool: {{{wrong}}}"))["cause"] == "invalid_request_error", wrong
        assert (await one("tool: {name: nobody}"))["cause"] == "not_found"
        broken = await one("tool: {name: broken}")
        assert "nobody knows Bearer [secret]" in broken["message"]
        # secrets: sent to their hosts alone, and struck out of what comes back
        told = await one(f"http: {{url: '{url('/echo')}', secret: crm}}")
        assert there.heard[-1]["headers"]["authorization"] == f"Bearer {KEPT}"
        assert told["body"]["headers"]["authorization"] == "Bearer [secret]"
        for how in SPELLINGS:
            for step in (
                f"http: {{url: '{url('/spelt')}?as={how}', secret: crm}}",
                f"tool: {{name: speller, arguments: {{as: {how}}}}}",
            ):
                assert not leaks(await one(step), KEPT), step
        assert (await one(f"http: {{url: '{url('/echo')}', secret: elsewhere}}"))[
            "cause"
        ] == "address_refused"
        assert (await one(f"http: {{url: '{url('/echo')}', secret: theirs}}"))["cause"] == "not_found"


async def test_no_http_step_leads_inside(kind: str, tmp_path: Path) -> None:
    async with outside() as there, outside() as victim, name_server(ZONE) as names:
        section = OutgoingSection(allow=[f"127.0.0.1:{there.server.port}"], name_servers=[names.address])  # type: ignore[arg-type]
        async with standing(kind, tmp_path, Model(), there, section) as (_, run):
            ways = [way.format(port=victim.server.port) for way in WAYS]
            text = (
                "chain: {name: t}\ninput: {ways: {type: array}}\nsteps:\n"
                "  - id: m\n    map: {over: input.ways, as: w, max_items: 200}\n"
                "    do: [{id: a, on_error: continue, http: {url: '{{ w }}'}}]\n"
                "output: \"steps.m|map(attribute='a.error.code')|list\""
            )
            assert await run(text, {"ways": ways}) == {"ok": ["address_refused"] * len(WAYS)}
        assert victim.heard == []


async def test_a_place_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    async with standing("here", tmp_path, Model()) as (there, run):
        step = f"http: {{url: '{there.url('/down')}'}}, {RETRY}, on_error: continue"
        steps = ", ".join(f"{{id: a{number}, {step}}}" for number in range(4))
        outcome = await run(f"chain: {{name: t}}\nsteps: [{steps}]")
        codes = [each["error"]["code"] for each in outcome["ok"].values()]
        assert codes[-1] == "circuit_open"
        assert len(there.heard) == 5


def answers(said: str) -> str:
    """Asks the weather twice and an order, is told of a mistake, and answers."""
    if said.startswith("Plan"):
        return 'call weather {"city": "Wien"}\ncall weather {}\ncall search {"query": "rain"}\ncall gone {}'
    if "degrees" in said:
        return (
            'call weather {"city": "Graz"}'
            if "Graz" not in said and "required" in said
            else f"Pack light: {said}"
        )
    return "done"


async def test_an_agent_calls_tools_until_it_answers(kind: str, tmp_path: Path) -> None:
    model = Model(answers)
    async with standing(kind, tmp_path, model) as (there, run):
        agent = "agent: {model: m, system: Be brief., prompt: Plan a trip., tools: [weather], collections: [kb]%s}"
        head = "chain: {name: t}\nsteps: [{id: a, %s}]\noutput: steps.a"
        outcome = await run(head % (agent % ""), run_id=f"r{kind}")
        got = outcome["ok"]
        assert (got["rounds"], got["stopped"]) == (3, "answered")
        assert [(call["name"], call["ok"]) for call in got["calls"]] == [
            ("weather", True), ("weather", False), ("search", True), ("gone", False), ("weather", True),
        ]  # fmt: skip
        assert (got["cost_usd"], got["usage"]) == (1.5, {"input_tokens": 3, "output_tokens": 6})
        assert [each["key"] for each in there.heard] == [
            f"r{kind}/a[0].weather[0]",
            f"r{kind}/a[1].weather[0]",
        ]
        roles = [message.role for message in model.asked[1].messages]
        assert roles == ["system", "user", "assistant", "tool", "tool", "tool", "tool"]
        # bounds: rounds, money, and what follows a failure
        short = (await run(head % (agent % ", max_rounds: 1")))["ok"]
        assert (short["rounds"], short["stopped"], short["calls"]) == (1, "rounds", [])
        poor = (await run(head % (agent % ", max_cost_usd: 0.4")))["error"]
        assert poor["cause"] == "agent_budget_exceeded"
        fell = (
            await run(head % ((agent % ", max_cost_usd: 0.4") + ", fallback: {llm: {model: m, prompt: x}}"))
        )["ok"]
        assert fell["text"] == "done"


async def test_texts_are_read_into_labels_and_values(kind: str, tmp_path: Path) -> None:
    replies = {
        "parcel": ['{"label": "delivery"}'],
        "both": ['{"labels": ["refund", "delivery", "refund"]}'],
        "mended": ['{"label": "nothing of these"}', '{"label": "refund"}'],
        "order 7": ['{"order": "seven"}', '{"order": 7, "model": "mine", "cost_usd": 0}'],
        "never": ["no", "no"],
    }
    texts: list[str] = []
    async with standing(kind, tmp_path, Model(lambda _said: texts.pop(0))) as (_, run):
        for said, step, wanted in (
            ("parcel", "classify: {model: m, text: parcel, labels: [delivery, refund]}", {"label": "delivery", "cost_usd": 0.5}),
            ("both", "classify: {model: m, text: both, many: true, labels: {delivery: late, refund: money}}", {"labels": ["refund", "delivery"]}),
            ("mended", "classify: {model: m, text: mended, labels: [delivery, refund]}", {"label": "refund", "cost_usd": 1.0}),
            ("order 7", "extract: {model: m, text: order 7, schema: {type: object, properties: {order: {type: integer}}}}", {"order": 7, "model": "m", "cost_usd": 1.0}),
            ("never", "extract: {model: m, text: never, schema: {type: object}}", {"cause": "bad_model_output"}),
        ):  # fmt: skip
            texts[:] = replies[said]
            outcome = await run(f"chain: {{name: t}}\nsteps: [{{id: a, {step}}}]\noutput: steps.a")
            got = outcome.get("ok") or outcome["error"]
            assert {name: got.get(name) for name in wanted} == wanted


SAMPLES: dict[str, Any] = {
    "llm": {"model": "m", "system": "s", "prompt": "p", "persona": {"name": "x", "variables": {}}, "json": False,
            "temperature": 0.5, "max_tokens": 5, "options": {"seed": 1, "stop": ["x"], "top_p": 0.5}},
    "classify": {"model": "m", "text": "t", "labels": ["a", "b"], "many": False, "instructions": "i", "temperature": 0, "max_tokens": 9, "options": {}},
    "extract": {"model": "m", "text": "t", "schema": {"type": "object"}, "instructions": "i", "temperature": 0, "max_tokens": 9, "options": {}},
    "agent": {"model": "m", "prompt": "p", "system": "s", "tools": ["weather"], "collections": ["kb"], "max_rounds": 2, "max_cost_usd": 9,
              "temperature": 0, "max_tokens": 9, "options": {}},
    "rag": {"collection": "kb", "query": "q", "top_k": 2, "filters": {}},
    "persona": {"name": "x", "variables": {}},
    "set": {"x": "1"},
    "switch": [{"when": "true", "name": "n", "do": [{"id": "b", "set": {"x": "1"}}]}],
    "parallel": [{"when": "true", "name": "n", "do": [{"id": "b", "set": {"x": "1"}}]}],
    "map": {"over": "[1]", "as": "m", "max_parallel": 1, "max_items": 2},
    "loop": {"until": "true", "max": 2},
    "chain": {"name": "other", "input": {}},
    "http": {"url": "URL", "method": "GET", "headers": {"a": "b"}, "query": {"a": "b"}, "body": {"x": 1}, "secret": "crm", "accept_status": [404]},
    "tool": {"name": "weather", "arguments": {"city": "Wien"}},
    "wait": {
        "signal": "go",
        "timeout": "1s",
        "on_timeout": "continue",
        "title": "Go?",
        "message": "It waits.",
        "assignee": "ann",
        "escalate": {"after": "500ms", "to": "bob"},
        "form": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
    },
    "sleep": "1ms",
}  # fmt: skip
ONE_OF = {"llm": {"messages": [{"role": "user", "content": "x"}], "schema": {"type": "object"}}}


async def test_what_the_schema_takes_the_engine_runs(kind: str, tmp_path: Path) -> None:
    """Every kind, with every key that its table has, on both runtimes."""
    tables = SCHEMA["$defs"]["step"]["properties"]
    assert SAMPLES.keys() == set(KINDS)
    for name, sample in SAMPLES.items():
        if tables[name].get("additionalProperties") is False and name not in ("switch", "parallel"):
            assert set(sample) | set(ONE_OF.get(name, {})) == set(tables[name]["properties"]), name
    other = check(read("chain: {name: other}\nsteps: [{id: a, set: {x: '1'}}]"))
    async with outside() as there, contextlib.aclosing(_door(there)) as door:
        model = Model(lambda said: '{"label": "a"}')
        async with running(kind, tmp_path, parts(there, door, model)) as run:
            for name, sample in SAMPLES.items():
                step = {"id": "a", name: sample, "when": "true", "timeout": "20s", "on_error": "fail"}
                if name in ("map", "loop"):
                    step["do"] = [{"id": "b", "set": {"x": "1"}}]
                if name == "http":
                    step["http"] = {**sample, "url": there.url("/echo")}
                text = json.dumps({"chain": {"name": "t"}, "steps": [step], "output": "steps.a"})
                outcome = await run(text, None, {"other": other})
                assert "ok" in outcome, (name, outcome)


def test_what_is_not_there_is_said_before_the_run() -> None:
    known = Known(
        tools=["weather"],
        secrets=["crm"],
        address=lambda url: "The address is bad." if "10." in url else None,
    )
    text = """
chain: {name: t}
steps:
  - {id: a, tool: {name: wether}}
  - {id: b, agent: {model: m, prompt: x, tools: [nobody]}}
  - {id: c, http: {url: "http://10.0.0.1/", secret: csm}}
  - {id: d, agent: {model: m, prompt: x, tools: [search], collections: [kb]}}
  - {id: e, agent: {model: m, prompt: x}, cache: 5s}
  - {id: f, llm: {model: m, prompt: x}, fallback: {agent: {model: m, prompt: x}}}
"""
    with pytest.raises(InvalidChain) as caught:
        check(read(text), known)
    said = "\n".join(map(str, caught.value.problems))
    for words in (
        "no tool 'wether'",
        "mean 'weather'",
        "no tool 'nobody'",
        "address is bad",
        "secret 'csm'",
        "tool 'search' by itself",
        "'agent' has no result",
        "'agent' cannot be a fallback",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"url": "http://{host}/x"}, "the host must not depend"),
        ({"url": "http://x/{id}"}, "id must be described"),
        ({"url": "ftp://x/"}, "must start with http"),
        ({"url": "http://x/", "parameters": {"type": "string"}}, 'type "object"'),
    ],
)
def test_a_tool_that_cannot_work_is_said_with_the_configuration(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ChainEngineSection(tools={"t": table})


def test_a_tool_whose_schema_is_none_is_said_at_the_start() -> None:
    section = ChainEngineSection(
        tools={
            "t": {"url": "http://x/", "parameters": {"type": "object", "properties": {"a": {"type": "nope"}}}}
        }
    )  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match=r"chain_engine\.tools\.t\.parameters"):
        OutsidePort(OutgoingDoor(), section)


def _door(there: Outside) -> OutgoingDoor:
    return OutgoingDoor(OutgoingSection(**tomllib.loads(there.toml())["outgoing"]))
