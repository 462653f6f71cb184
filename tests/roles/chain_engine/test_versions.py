"""What a chain said before: listed, compared, run again, and tried by a share of its runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from intellirouter.chains.compare import changes, told
from intellirouter.errors import NotFound
from intellirouter.roles.chain_engine.store import METADATA
from intellirouter.roles.chain_engine.versions import MAX_BYTES, Versions, tries
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client, auth


def says(what: str, version: int = 1) -> dict[str, str]:
    return {
        "source": f"chain: {{name: say, version: {version}}}\nsteps: [{{id: a, set: {{x: \"'{what}'\"}}}}]\noutput: steps.a.x"
    }


async def test_versions_are_kept_compared_run_again_and_tried(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a", bob="b"), role="ChainEngine")
    ask, other = (Client(http, node.listening[0].url, key) for key in ("ann", "bob"))

    async def run() -> Any:
        return (await ask("POST", "/v1/chains/say/runs", {}))[1]

    for what in ("one", "one", "two"):  # what says the same is no new version
        await ask("PUT", "/v1/chains/say", says(what))
    _, found = await ask("GET", "/v1/chains/say/versions")
    assert [(each["revision"], each["state"]) for each in found["data"]] == [(2, "live"), (1, "kept")]
    assert found["data"][0]["author"] == "ann"
    assert ((await run())["output"], (await run())["revision"]) == ("two", 2)
    _, found = await ask("GET", "/v1/chains/say/diff")
    assert (found["from"], found["to"]) == (1, 2)
    assert found["changes"] == [{"path": "steps.a.set.x", "kind": "changed", "from": "'one'", "to": "'two'"}]
    assert (await ask("GET", "/v1/chains/say/versions/1"))[1]["definition"]["steps"][0]["set"] == {
        "x": "'one'"
    }

    assert (await ask("POST", "/v1/chains/say/rollback", {"revision": 1}))[1]["revision"] == 1
    assert (await run())["output"] == "one"
    for status, method, path, body in (
        (404, "POST", "rollback", {"revision": 9}),
        (400, "POST", "rollback", {"revision": 0}),
        (400, "PUT", "rollout", {"revision": 2, "share": 0}),
        (400, "PUT", "rollout", {"revision": 2}),
        (404, "PUT", "rollout", {"revision": 7, "share": 5}),
        (400, "GET", "versions/x", None),
        (404, "GET", "versions/12", None),
        (400, "GET", "diff?from=-1", None),
    ):
        assert (await ask(method, f"/v1/chains/say/{path}", body))[0] == status, path
    for path in ("versions", "diff", "versions/1"):
        assert (await other("GET", f"/v1/chains/say/{path}"))[0] == 404

    _, stored = await ask("PUT", "/v1/chains/say", {**says("three"), "share": 50})
    assert (stored["revision"], stored["trial"], stored["share"]) == (1, 3, 50)
    said = [await run() for _ in range(30)]
    assert {each["output"] for each in said} == {"one", "three"}
    assert all(each["output"] == ("three" if tries(each["id"], 50) else "one") for each in said)
    _, found = await ask("GET", "/v1/chains/say/versions")
    tried = next(each for each in found["data"] if each["state"] == "trial")
    assert tried["share"] == 50
    assert tried["runs"] == {"succeeded": sum(each["output"] == "three" for each in said)}
    _, listed = await ask("GET", "/v1/runs?chain=say&revision=3&limit=100")
    assert {each["id"] for each in listed["data"]} == {
        each["id"] for each in said if each["output"] == "three"
    }

    assert (await ask("DELETE", "/v1/chains/say/rollout"))[1]["trial"] is None
    assert {(await run())["output"] for _ in range(10)} == {"one"}
    await ask("PUT", "/v1/chains/say/rollout", {"revision": 3, "share": 100})
    assert (await run())["output"] == "three"
    node_url, headers = node.listening[0].url, {"authorization": "Bearer ann"}
    last = (await run())["id"]
    for path, kind, holds in (
        ("chains/say/drawing", "image/svg+xml", "<title>say, version 1</title>"),
        ("chains/say/drawing?format=mermaid&revision=1", "text/plain", "flowchart TD"),
        (f"runs/{last}/drawing", "image/svg+xml", "succeeded"),
        (f"runs/{last}/drawing?format=mermaid", "text/plain", "flowchart TD"),
        (f"runs/{last}/drawing?format=timeline", "image/svg+xml", last),
    ):
        async with http.get(f"{node_url}/v1/{path}", headers=headers) as reply:
            assert (reply.status, reply.content_type) == (200, kind), path
            assert holds in await reply.text()
    assert (await ask("GET", f"/v1/runs/{last}/timeline"))[1]["run"]["status"] == "succeeded"
    assert (await ask("GET", "/v1/chains/say/drawing?format=timeline"))[0] == 400
    for path in ("chains/say/drawing", f"runs/{last}/drawing", f"runs/{last}/timeline"):
        assert (await other("GET", f"/v1/{path}"))[0] == 404
    await ask("DELETE", "/v1/chains/say")
    await ask("PUT", "/v1/chains/say", says("new"))
    assert len((await ask("GET", "/v1/chains/say/versions"))[1]["data"]) == 1


def test_the_versions_of_a_chain_weigh_no_more_than_so_much(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'chains.db'}")
    METADATA.create_all(engine)
    versions = Versions(engine)
    for number in range(24):
        document = {"chain": {"name": "big"}, "text": f"{number:03}" * 300_000}
        stored, _ = versions.put("t", "big", document)
    found = versions.listed("t", stored)
    assert sum(len(json.dumps(each.document)) for each in found) <= MAX_BYTES + 1_000_000
    assert [each.revision for each in found] == list(range(24, 24 - len(found), -1))
    assert 10 < len(found) < 20
    engine.dispose()


def test_a_chain_that_was_stored_before_there_were_versions_has_one(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'chains.db'}")
    METADATA.create_all(engine)
    versions = Versions(engine)
    stored, _ = versions.put("t", "a", {"chain": {"name": "a"}})
    found = versions.listed("of nobody", stored)
    assert [(one.revision, one.document) for one in found] == [(1, stored.document)]
    assert versions.one("of nobody", stored, 1) == found[0]
    with pytest.raises(NotFound):
        versions.one("of nobody", stored, 2)
    engine.dispose()


def test_the_share_that_tries_is_about_what_was_asked_for() -> None:
    for share in (1, 10, 50, 99):
        taken = sum(tries(f"run_{number}", share) for number in range(20_000)) / 200
        assert share - 2 < taken < share + 2
    assert all(tries(f"run_{number}", 100) for number in range(1_000))


STEP = {"id": "a", "set": {"x": "1"}}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ({"steps": [STEP]}, {"steps": [STEP]}, []),
        ({"steps": [STEP]}, {"steps": [STEP, {"id": "b"}]}, [("steps.b", "added")]),
        ({"steps": [STEP, {"id": "b"}]}, {"steps": [{"id": "b"}]}, [("steps.a", "removed")]),
        (
            {"steps": [{"id": "a"}, {"id": "b"}]},
            {"steps": [{"id": "b"}, {"id": "a"}]},
            [("steps.b", "moved"), ("steps.a", "moved")],
        ),
        ({"x": [1, 2]}, {"x": [1, 3, 4]}, [("x[1]", "changed"), ("x[2]", "added")]),
        ({"x": 1}, {"x": True}, [("x", "changed")]),
        ({"x": "a\nb"}, {"x": "a\nc"}, [("x", "changed")]),
    ],
)
def test_what_differs_is_told_by_its_place(old: Any, new: Any, wanted: list[tuple[str, str]]) -> None:
    found = changes(old, new)
    assert [(change.path, change.kind) for change in found] == wanted
    assert all(change.path in told(found) for change in found)


def test_of_a_text_only_the_lines_that_differ_are_told() -> None:
    assert told(changes({"p": "a\nb\nc"}, {"p": "a\nB\nc"})).split() == "p: changed - b + B".split()
