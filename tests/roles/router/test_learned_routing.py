"""`auto` and groups that learn, over HTTP: what decides, what stays, what feedback teaches, what is refused."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from intellirouter.roles.router.keys import LEARNED
from tests.conftest import StartNode, StartVendor, provider
from tests.inference.learning.made import EASY, HARD
from tests.roles.router.test_records import keys
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Play, Received

SMART = """
[router]
learning_interval = 0.3
[[model_registry.models]]
name = "smart"
targets = ["small/m", "large/m"]
[model_registry.models.learning]
explore = 0.5
sticky = false
"""


COSTS = {"small/m": 0.001, "large/m": 0.02}
"""What an answer of each is told to cost, in US dollars."""


def said(text: str, **more: Any) -> Play:
    message = {"role": "assistant", "content": text}
    count = iter(range(10**9))

    def answer(_request: Received) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{text}{next(count)}",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }

    return Play.json(answer({}))  # type: ignore[arg-type]


def asked(text: str, model: str = "smart", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + 60
    while not await holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def test_feedback_teaches_a_group_whom_to_ask(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    node = await start_node(provider(small, name="small") + provider(large, name="large") + SMART)
    url = node.listening[0].url

    async def ask(text: str, explain: bool = False) -> tuple[str, str, dict[str, Any]]:
        headers = {"x-intellirouter-explain": "1"} if explain else {}
        async with http.post(f"{url}/v1/chat/completions", json=asked(text), headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            shown = json.loads(reply.headers.get("x-intellirouter-decision", "{}"))
            return reply.headers["x-request-id"], reply.headers["x-intellirouter-provider"], shown

    async def rate(request_id: str, score: float) -> dict[str, Any]:
        body = {"request_id": request_id, "score": score}
        async with http.post(f"{url}/v1/feedback", json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()  # type: ignore[no-any-return]

    _, first, shown = await ask(EASY.format("Peru"), explain=True)
    assert shown["selection"]["reason"] in ("cold", "explored")
    for number in range(120):
        hard = number % 2 == 0
        text = HARD.format(number, number + 1) if hard else EASY.format(f"place {number}")
        request_id, by, _ = await ask(text)
        told = await rate(request_id, float(by == "large" or not hard))
        assert told["learnt"] is True
        assert told["target"] == f"{by}/m"
    assert (await rate(request_id, 0.0))["learnt"] is False  # once is enough

    async def learnt() -> bool:
        async with http.get(f"{url}/v1/models") as reply:
            await reply.read()
        _, _, decision = await ask(HARD.format(7, 9), explain=True)
        return (
            decision["selection"]["targets"][0]["outcomes"] >= 25
            and decision["selection"]["reason"] == "learned"
        )

    await until(learnt, "nothing was learnt")
    _, _, decision = await ask(HARD.format(3, 5), explain=True)
    scores = {row["target"]: row["success"] for row in decision["selection"]["targets"]}
    assert scores["large/m"] > scores["small/m"] + 0.2
    assert first in ("small", "large")


async def test_what_was_learnt_is_judged_by_questions_whose_outcomes_are_known(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    node = await start_node(
        provider(small, name="small")
        + provider(large, name="large")
        + SMART
        + keys(boss='scopes = ["admin"]')
    )
    url, boss = node.listening[0].url, {"authorization": "Bearer boss-key"}

    async def send(path: str, rows: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        data = "\n".join(map(json.dumps, rows))
        async with http.post(f"{url}/admin/routing/{path}", data=data, headers=boss) as reply:
            return reply.status, await reply.json()

    # the prior thinks otherwise of these two kinds
    lessons, questions = [], []
    for number in range(240):
        hard = number % 2 == 0
        text = HARD.format(number, number + 1) if hard else EASY.format(f"place {number}")
        good = {"small/m": float(not hard), "large/m": float(hard)}
        if number < 160:
            lessons += [
                {"prompt": text, "target": name, "score": score, "group": "smart", "cost": COSTS[name]}
                for name, score in good.items()
            ]
        else:
            questions.append({"prompt": text, "weak": good["small/m"], "strong": good["large/m"]})
    assert (await send("eval?group=smart", questions))[0] == 404, "nothing is learnt yet"
    assert await send("import?check=1", lessons) == (200, {"object": "routing.import", "taken": 0})
    for wrong, word in (
        ({"group": "nobody"}, "nobody"),
        ({"group": "small/m", "target": "small/m"}, "does not learn"),
        ({"target": "nobody/m"}, "nobody/m"),
        ({"score": None}, "score"),
    ):
        status, told = await send("import?first=5001", [lessons[0], {**lessons[1], **wrong}])
        assert status == 400 and "Line 5002" in told["error"]["message"] and word in told["error"]["message"]
    for query in ("first=-1", "first=x", "check=yes"):
        assert (await send(f"import?{query}", lessons))[0] == 400
    assert await send("import", lessons) == (200, {"object": "routing.import", "taken": 320, "known": 0})
    assert await send("import", lessons[:5]) == (200, {"object": "routing.import", "taken": 0, "known": 5})
    weights = node.opened[LEARNED].weights

    async def learnt() -> bool:
        return "smart" in weights and weights["smart"].outcomes >= 200

    await until(learnt, "nothing was learnt")
    again = [
        *lessons[-2:],
        {**lessons[0], "prompt": "What is new?"},
        {**lessons[0], "prompt": "What is new?"},
    ]
    assert await send("import", again) == (200, {"object": "routing.import", "taken": 1, "known": 3})
    for method, status in (("DELETE", 404), ("PUT", 400)):
        group = "nobody" if status == 404 else "small/m"
        path = f"{url}/admin/routing/learnt/{group}"
        async with http.request(method, path, headers=boss, data=b"x") as reply:
            assert reply.status == status, await reply.text()
    assert {
        name: weights["smart"].facts[weights["smart"].places[name]].cost for name in COSTS
    } == pytest.approx(COSTS)
    body = {"model": "smart", "prompt": HARD.format(1, 2)}
    async with http.post(f"{url}/admin/routing/explain", json=body, headers=boss) as reply:
        targets = (await reply.json())["selection"]["targets"]
    shown = {row["target"]: row["cost_usd"] for row in targets}
    assert shown == pytest.approx(COSTS), (
        "no price of theirs is known, so what an answer was told to cost counts"
    )
    for wrong in (-1, "much", 1e308, True):
        status, told = await send("import", [{**lessons[0], "cost": wrong}])
        assert status == 400 and "Line 1" in told["error"]["message"]
    pair = "weak=small/m&strong=large/m"
    status, told = await send(f"eval?group=smart&{pair}", questions)
    assert status == 200 and told["by"] == "learnt"
    status, prior = await send("eval", questions)
    assert status == 200 and prior["by"] == "prior"
    best, plain = (max(point["quality"] for point in one["curve"]) for one in (told, prior))
    assert best > 0.95, "half of the questions at each is nearly always right"
    assert plain < 0.8
    status, told = await send("eval?group=smart&weak=small/m&strong=nobody/m", questions)
    assert status == 400 and "nobody/m" in told["error"]["message"]


async def test_a_conversation_stays_with_its_target(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    table = SMART.replace("sticky = false", "sticky = true")
    node = await start_node(provider(small, name="small") + provider(large, name="large") + table)
    url = f"{node.listening[0].url}/v1/chat/completions"
    for talk in range(6):
        messages: list[dict[str, str]] = []
        by = set()
        for turn in range(5):
            messages.append(
                {"role": "user", "content": f"talk {talk} turn {turn}: {HARD.format(turn, talk)}"}
            )
            async with http.post(url, json={"model": "smart", "messages": messages}) as reply:
                by.add(reply.headers["x-intellirouter-provider"])
                messages.append((await reply.json())["choices"][0]["message"])
        assert len(by) == 1


async def test_auto_asks_the_dear_model_for_hard_questions_and_can_lean(
    start_node: StartNode, start_vendor: StartVendor
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    models = "".join(
        f'[[model_registry.models]]\nname = "{name}"\ntargets = ["{name}/m"]\nprice = {{ input = {price}, output = {price} }}\n'
        for name, price in (("small", 0.1), ("large", 10))
    )
    node = await start_node(provider(small, name="small") + provider(large, name="large") + models)
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="-", max_retries=0)
    listed = [model.id async for model in await client.models.list()]
    assert {"auto", "auto/cheap", "auto/best", "auto/fast", "small", "large"} <= set(listed)

    async def by(model: str, text: str) -> str:
        """Who answers most such questions: one in fifty is asked of another, to learn."""
        found: Counter[str] = Counter()
        for number in range(9):
            answer = await client.chat.completions.with_raw_response.create(
                **asked(text.format(number, number + 2), model)
            )
            found[answer.headers["x-intellirouter-provider"]] += 1
        return found.most_common(1)[0][0]

    assert await by("auto/cheap", EASY) == "small"
    assert await by("auto/best", HARD) == "large"
    assert await by("small", HARD) == "small"
    claude = anthropic.AsyncAnthropic(base_url=node.listening[0].url, api_key="-", max_retries=0)
    answer = await claude.messages.create(
        model="auto/cheap", max_tokens=20, messages=[{"role": "user", "content": EASY.format("Cuba")}]
    )
    told = await claude.post(  # an answer's own id will do, in any dialect
        "/v1/feedback", body={"response_id": answer.id, "score": True}, cast_to=object
    )
    assert told["learnt"] is True  # type: ignore[index]


REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"request_id": "req_unknown", "score": 1}, 404, "known"),
    ({"request_id": "req_x", "score": 1e308}, 400, "score"),
    ({"request_id": "req_x", "score": -0.1}, 400, "score"),
    ({"request_id": "req_x", "score": "good"}, 400, "score"),
    ({"request_id": "req_x", "score": 10**400}, 400, "score"),
    ({"request_id": "req_x", "comment": "x" * 1_000_000}, 400, "comment"),
    ({"request_id": "x" * 500, "score": 1}, 400, "request_id"),
    ({"request_id": 7, "score": 1}, 400, "request_id"),
    ({"request_id": "req_x"}, 400, "score"),
    ({"score": 1}, 400, "request_id"),
    ({"request_id": "req_x", "score": 1, "stars": 5}, 400, "stars"),
    ({"request_id": "req_x", "score": 1, "rating": 0}, 400, "rating"),
)


async def test_feedback_that_is_refused(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    url = f"{(await start_node('')).listening[0].url}/v1/feedback"
    for body, status, word in REFUSED:
        async with http.post(url, json=body) as reply:
            told = await reply.text()
            assert reply.status == status, told
            assert word in told
    for raw in (b'{"request_id": "a", "score": NaN}', b"[]", b"", b"\xff"):
        async with http.post(url, data=raw, headers={"content-type": "application/json"}) as reply:
            assert reply.status == 400


async def test_another_tenants_request_is_unknown(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    small, large = await start_vendor(said("s")), await start_vendor(said("l"))
    keys = "[auth]\nenabled = true\n" + "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{sha256(f"sk-{name}".encode()).hexdigest()}"\ntenant = "{name}"\n'
        for name in ("ours", "theirs")
    )
    node = await start_node(provider(small, name="small") + provider(large, name="large") + SMART + keys)
    url = node.listening[0].url

    def by(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer sk-{name}"}

    async with http.post(f"{url}/v1/chat/completions", json=asked("Hi"), headers=by("ours")) as reply:
        assert reply.status == 200, await reply.text()
        request_id, answer = reply.headers["x-request-id"], await reply.json()
    for body in ({"request_id": request_id}, {"response_id": answer["id"]}):
        async with http.post(f"{url}/v1/feedback", json={**body, "score": 0}, headers=by("theirs")) as reply:
            assert reply.status == 404
    async with http.post(
        f"{url}/v1/feedback", json={"request_id": request_id, "score": 0}, headers=by("ours")
    ) as reply:
        assert reply.status == 200


JUDGED = """
[router]
learning_interval = 0.2
[[model_registry.models]]
name = "grader"
targets = ["judge/m"]
price = { input = 1000, output = 1000 }
[[model_registry.models]]
name = "smart"
targets = ["small/m", "large/m"]
[model_registry.models.learning]
sticky = false
explore = 0.5
judge = { model = "grader", share = 1, daily_usd = 1 }
"""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_judge_grades_a_sample_beside_the_path_and_within_its_budget(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """Each grade costs 0.015 dollars: after 67 of them the day's dollar is spent."""

    def graded(request: Received) -> Play:
        told = str(request.json["messages"][-1]["content"])
        return said("9" if "well" in told.partition("<answer A>")[2] else "2/10")

    def answers(text: str) -> Callable[[Received], Play]:
        def answer(request: Received) -> Play:
            return Play.sse(*faults.events([text])) if request.json.get("stream") else said(text)

        return answer

    judge, small, large = (
        await start_vendor(graded),
        await start_vendor(answers("badly")),
        await start_vendor(answers("well")),
    )
    names = {"judge": judge, "small": small, "large": large}
    providers = "".join(provider(vendor, name=name) for name, vendor in names.items())
    node = await start_node(providers + JUDGED)
    url = node.listening[0].url
    learned = node.opened[LEARNED]
    number = 0

    async def ask() -> None:
        nonlocal number
        number += 1
        async with http.post(
            f"{url}/v1/chat/completions", json=asked(f"Say {number}", stream=stream)
        ) as reply:
            assert reply.status == 200
            await reply.read()

    async def learnt() -> bool:
        await ask()
        found = learned.weights.get("smart")
        known = dict(zip(found.targets, found.facts, strict=True)) if found is not None else {}
        return len(known) == 2 and known["large/m"].good > 0.85 and known["small/m"].good < 0.25

    await until(learnt, "nothing was learnt of grades")

    async def spent() -> bool:
        before = len(judge.received)
        for _ in range(8):
            await ask()
        await asyncio.sleep(0.1)
        return len(judge.received) == before >= 60

    await until(spent, "the budget of the judge never ends")
    assert len(judge.received) <= 67 + 8  # as many as were under way
