"""Keys that are good for some endpoints, addresses, collections or hours only, and keys that are blocked for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from intellirouter.errors import PermissionDenied, RateLimited
from intellirouter.security.fence import Fence, Parallel
from tests.conftest import StartVendor
from tests.e2e.test_callers import answering, saying, world
from tests.servers.installation import ADMIN, Installation, installed
from tests.servers.vendor import Play, Vendor


@pytest.fixture
async def vendor(start_vendor: StartVendor) -> Vendor:
    return await start_vendor(answering)


@pytest.fixture
async def place(tmp_path: Path, vendor: Vendor) -> AsyncIterator[Installation]:
    async with installed("one", tmp_path, world(vendor)) as made:
        yield made


async def changed(place: Installation, key: str, **fields: Any) -> tuple[int, Any]:
    return await place.ask("Router", ADMIN, "PATCH", f"/admin/keys/{key}", fields)


async def test_only_these_endpoints(place: Installation) -> None:
    key = await place.make_key("app")
    status, shown = await changed(place, "app", endpoints=["/v1/chat/*", "/v1/models"])
    assert (status, shown["endpoints"]) == (200, ["/v1/chat/*", "/v1/models"])
    assert (await place.chat(key, "cheap"))[0] == 200
    assert (await place.ask("Router", key, "GET", "/v1/models"))[0] == 200
    for role, path in (
        ("Router", "/v1/models/cheap"),
        ("Router", "/v1/conversations"),
        ("Router", "/v1/chat%2f..%2fconversations"),
        ("Router", "//v1/chat/completions/../../conversations"),
        ("ChainEngine", "/v1/chains"),
        ("RagManager", "/rag/v1/collections"),
        ("PersonaLayer", "/v1/personas"),
    ):
        assert (await place.ask(role, key, "GET", path))[0] in (403, 404), path
    assert (await changed(place, "app", endpoints=None))[0] == 200
    assert (await place.ask("Router", key, "GET", "/v1/conversations"))[0] == 200


async def test_only_from_there(place: Installation) -> None:
    key = await place.make_key("app")
    for addresses, status in (
        (["10.0.0.0/8"], 403),
        (["10.0.0.0/8", "127.0.0.1"], 200),
        (["127.0.0.0/8"], 200),
    ):
        assert (await changed(place, "app", addresses=addresses))[0] == 200
        assert (await place.chat(key, "cheap"))[0] == status
        headers = {"x-forwarded-for": "10.1.1.1", "x-real-ip": "10.1.1.1"}
        found, _ = await place.ask("Router", key, "GET", "/v1/models", headers=headers)
        assert found == status


async def test_files_of_other_collections_are_not_there(place: Installation) -> None:
    """What lies in a collection that the key may not use is not read, brought elsewhere or deleted by it as a file."""
    key, whole = await place.make_key("app"), await place.make_key("whole")

    async def ask(method: str, path: str, body: Any = None, who: str = key) -> tuple[int, Any]:
        return await place.ask("RagManager", who, method, path, body)

    stores, files = {}, {}
    for name in ("manuals", "payroll"):
        await ask("POST", "/rag/v1/collections", {"name": name})
    for store in (await ask("GET", "/v1/vector_stores"))[1]["data"]:
        stores[store["name"]] = f"/v1/vector_stores/{store['id']}"
    for name, places in (
        ("loose", ()),
        ("open", ("manuals",)),
        ("both", ("manuals", "payroll")),
        ("shut", ("payroll",)),
    ):
        form = FormData({"purpose": "assistants"})
        form.add_field("file", f"what is {name}".encode(), filename=f"{name}.txt")
        _, made = await place.ask("RagManager", key, "POST", "/v1/files", data=form)
        files[name] = made["id"]
        for each in places:
            assert (await ask("POST", f"{stores[each]}/files", {"file_id": made["id"]}))[0] == 200
    await changed(place, "app", collections=["manual*"])
    _, listed = await ask("GET", "/v1/files")
    assert {one["id"] for one in listed["data"]} == {files[name] for name in ("loose", "open", "both")}
    mine = {
        "/v1/files": [files[name] for name in ("both", "open", "loose")],
        "/v1/vector_stores": [stores["manuals"].rpartition("/")[2]],
    }
    for path, ids in mine.items():
        pages = [(await ask("GET", f"{path}?limit=1"))[1]]
        while pages[-1]["has_more"]:
            pages.append((await ask("GET", f"{path}?limit=1&after={pages[-1]['last_id']}"))[1])
        assert [one["id"] for page in pages for one in page["data"]] == ids
        assert all(page["data"] for page in pages), "clients end at a page that is empty"
    _, page = await ask("GET", f"/v1/files?limit=2&before={files['loose']}")
    assert [one["id"] for one in page["data"]] == [files["both"], files["open"]]
    for name, id_ in files.items():
        for path in (f"/v1/files/{id_}", f"/v1/files/{id_}/content"):
            assert (await ask("GET", path))[0] == (404 if name == "shut" else 200), path
    assert (await ask("POST", f"{stores['manuals']}/files", {"file_id": files["shut"]}))[0] == 404
    for name, status in (("shut", 404), ("both", 404), ("open", 200), ("loose", 200)):
        assert (await ask("DELETE", f"/v1/files/{files[name]}"))[0] == status, name
    for name in ("shut", "both"):
        assert (await ask("GET", f"/v1/files/{files[name]}/content", who=whole))[0] == 200


async def test_only_these_collections(place: Installation) -> None:
    key, all_ = await place.make_key("app"), await place.make_key("librarian")
    for name in ("manuals", "payroll"):
        job = await place.ingest(all_, name, "a.txt", "Coal is black.")
    await changed(place, "app", collections=["manual*"])
    assert (await place.retrieve(key, "manuals", "coal"))[0] == 200
    assert (await place.retrieve(key, "payroll", "coal"))[0] == 404
    one = "/rag/v1/collections/payroll"
    for method, path in (
        ("GET", f"{one}/documents"),
        ("DELETE", f"{one}/documents/a.txt"),
        ("GET", f"{one}/documents/a.txt/chunks"),
        ("POST", f"{one}/reindex"),
        ("DELETE", one),
        ("GET", f"/rag/v1/jobs/{job['id']}"),
        ("POST", f"/rag/v1/jobs/{job['id']}/cancel"),
    ):
        assert (await place.ask("RagManager", key, method, path))[0] == 404, path
    for path in ("/rag/v1/collections", "/rag/v1/jobs", "/v1/vector_stores"):
        _, listed = await place.ask("RagManager", key, "GET", path)
        assert "payroll" not in str(listed)
    for path, body in (("/rag/v1/collections", {"name": "new"}), ("/v1/vector_stores", {"name": "x"})):
        assert (await place.ask("RagManager", key, "POST", path, body))[0] == 403
    status, _ = await place.chat(key, "cheap", rag={"collections": ["payroll"]})
    assert status == 404


async def test_so_many_at_once(place: Installation, vendor: Vendor) -> None:
    key = await place.make_key("app", max_parallel=2)
    vendor.answers = [Play([2.0, b"{}"])]
    found = await asyncio.gather(*(place.chat(key, "cheap") for _ in range(6)))
    assert sorted(status for status, _ in found).count(429) == 4
    vendor.answers = [answering]
    assert (await place.chat(key, "cheap"))[0] == 200  # the places are free again
    await changed(place, "app", max_parallel=0)
    assert (await place.chat(key, "cheap"))[0] == 429


async def test_a_blocked_key_and_its_work_rest(place: Installation, vendor: Vendor) -> None:
    key = await place.make_key("app", scopes=["inference", "chains"])
    other = await place.make_key("other")
    await place.put_chain(key, "say", saying("cheap"))
    await place.ask("ChainEngine", key, "PUT", "/v1/schedules/s", {"cron": "0 0 1 1 *", "chain": "say"})
    status, shown = await place.ask("Router", ADMIN, "POST", "/admin/keys/app/block")
    assert (status, shown["status"]) == (200, "blocked")
    status, said = await place.chat(key, "cheap")
    assert (status, "blocked" in said["error"]["message"]) == (401, True)
    _, schedule = await place.ask("ChainEngine", other, "GET", "/v1/schedules/s")
    assert (schedule["status"], "blocked" in schedule["message"]) == ("stopped", True)
    assert (await place.ask("Router", ADMIN, "POST", "/admin/keys/app/unblock"))[1]["status"] == "live"
    assert (await place.chat(key, "cheap"))[0] == 200
    # a key that may start no chains any more has none started in its name
    for scopes, stands in ((["chains"], "stopped"), (["inference", "chains"], "active")):
        assert (await changed(place, "app", scopes=scopes))[0] == 200
        _, schedule = await place.ask("ChainEngine", other, "GET", "/v1/schedules/s")
        assert (schedule["status"], "chains:start" in str(schedule["message"])) == (
            stands,
            stands == "stopped",
        )
    _, schedule = await place.ask("ChainEngine", other, "GET", "/v1/schedules/s")
    assert schedule["status"] == "active"
    await place.ask("Router", ADMIN, "DELETE", "/admin/keys/app")
    for act in ("block", "unblock"):
        assert (await place.ask("Router", ADMIN, "POST", f"/admin/keys/app/{act}"))[0] == 409
    assert (await changed(place, "app", models=["cheap"]))[0] == 409  # nothing brings a revoked key back


async def test_a_change_is_checked_and_two_at_once_are_both_kept(place: Installation) -> None:
    key = await place.make_key("app", not_before=time.time() - 5)
    for wrong in (
        {"name": "x"},
        {"tenant": "globex"},
        {"sha256": "0" * 64},
        {"revoked": 1},
        {"nothing": None},
        {"models": "cheap"},
        {"addresses": ["nowhere"]},
        {"max_parallel": -1},
        {"scopes": ["everything"]},
        {"budgets": {"day": -1}},
    ):
        assert (await changed(place, "app", **wrong))[0] == 400, wrong
    await asyncio.gather(changed(place, "app", models=["cheap"]), changed(place, "app", priority=3))
    _, listed = await place.ask("Router", ADMIN, "GET", "/admin/keys")
    (app,) = [one for one in listed["data"] if one["name"] == "app"]
    assert (app["models"], app["priority"]) == (["cheap"], 3)
    assert (await place.chat(key, "dear"))[0] == 403
    await changed(place, "app", not_before=time.time() + 3600)
    status, said = await place.chat(key, "cheap")
    assert (status, "not good yet" in said["error"]["message"]) == (401, True)
    assert (await place.ask("Router", key, "PATCH", "/admin/keys/app", {"models": None}))[0] == 401


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8", "192.168.0.0/16"), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("2001:db8::1", ("10.0.0.0/8",), False),
        (None, ("0.0.0.0/0",), False),
        ("", ("0.0.0.0/0",), False),
        ("here", ("::/0",), False),
    ],
)
def test_addresses(address: str | None, networks: tuple[str, ...], within: bool) -> None:
    fence = Fence(addresses=networks)
    if within:
        fence.check_door("/", address)
        return
    with pytest.raises(PermissionDenied):
        fence.check_door("/", address)


def test_a_place_that_was_refused_is_not_held() -> None:
    parallel = Parallel()
    with parallel.one("k", 1), pytest.raises(RateLimited), parallel.one("k", 1):
        pass
    with parallel.one("k", 1):
        pass
    assert not parallel._under_way


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": "x" * 300}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": "t" * 300}, "tenant"),
        ({"tenant": " acme"}, "tenant"),
        ({"team": "research\n"}, "team"),
        ({"models": ["m" * 300]}, "models[0]"),
        ({"collections": ["c"] * 300}, "collections"),
        ({"endpoints": ["v1/chat/completions"]}, "endpoints"),
        ({"priority": 10**20}, "priority"),
        ({"expires": 1e300}, "expires"),
        ({"not_before": -1}, "not_before"),
    ],
)
async def test_names_and_numbers_that_nobody_could_mean_are_refused(
    place: Installation, fields: dict[str, Any], param: str
) -> None:
    body = {"name": "app", **fields}
    status, told = await place.ask("Router", ADMIN, "POST", "/admin/keys", body)
    assert (status, told["error"]["param"]) == (400, param), told
