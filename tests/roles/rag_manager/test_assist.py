"""A chat model that helps to search and to index. The model is a vendor's and stood in for; what it fails at is done without."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import (
    BudgetExceeded,
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    RateLimited,
    UpstreamUnavailable,
)
from intellirouter.inference.offline_transport import ANSWER_ID
from intellirouter.peers.contract import Call, RetrievalRequest, Retrieved
from intellirouter.peers.documents import retrieval_document, retrieved_of
from intellirouter.roles.rag_manager.assist.contexts import SUMMARY
from intellirouter.roles.rag_manager.assist.expansion import queries_of
from intellirouter.roles.rag_manager.catalog import texts_of
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.security.caller import Caller, Owner
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.rag_manager.test_job_owners import Ring
from tests.roles.rag_manager.test_provider_embedding import MODEL as EMBEDS
from tests.roles.rag_manager.test_provider_embedding import Letters
from tests.servers.minilm import minilm
from tests.servers.vendor import Play, Received

MODEL = "vendor/small"
NOBODY = "[offline] No model provider is configured."
Writes = Callable[[str, str], str | Exception | float]
"""From instruction and text to an answer, an error, or seconds of silence."""


class Model(Letters):
    """Remembers what it was asked, and in whose name. What embeds counts letters."""

    def __init__(self, writes: Writes) -> None:
        super().__init__()
        self.writes = writes
        self.asked: list[tuple[str, str]] = []

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        assert request.model == MODEL
        system, user = (message.text for message in request.messages)
        self.asked.append((user, call.caller.key_id))
        said = self.writes(system, user)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, float):
            await asyncio.sleep(said)
            said = "too late"
        by = ANSWER_ID if said == NOBODY else "1"
        return ChatResponse(id=by, model=MODEL, choices=(Choice(content=(Text(said),)),))


def section(**more: Any) -> RagSection:
    return RagSection(embedding_model=EMBEDS, assist=[{"model": MODEL, **more}] if more else [])


async def kept(service: RagService, name: str, text: str, **more: Any) -> dict[str, Any]:
    job = await service.submit("a", "docs", name, text.encode(), owner=Owner("a", "ann", "key_1"), **more)
    async with asyncio.timeout(60):
        return await service.ended("a", job)


async def ask(service: RagService, query: str, seconds: float = 60.0, **more: Any) -> Retrieved:
    call = Call(Caller("bob", "a"), "r", time.monotonic() + seconds)
    return await service.retrieve(RetrievalRequest(query, ("docs",), **more), call)


PAGES = {
    "a.md": "# Terms\n\nThe warranty of the kettle is three years.",
    "b.md": "# Shop\n\nWe open at nine and close at five.",
    "c.md": "# Returns\n\nzyxophrine may be sent back within a month.",
}


async def test_a_search_in_other_words(tmp_path: Path) -> None:
    """What another wording names is found, each question is paid once, and whatever the model does, the search answers."""
    said: list[str | Exception | float] = ["1. zyxophrine\n- how long is it\n\n2) How do I?"]
    model = Model(lambda _system, _user: said[0])
    async with open_rag(section(timeout_seconds=60), tmp_path, chat=model) as service:
        await service.create("a", "docs")
        for name, text in PAGES.items():
            await kept(service, name, text)
        plain = await ask(service, "How do I?", mode="lexical")
        assert (plain.passages, plain.notes, model.asked) == ((), (), [])

        found = await ask(service, "How do I?", mode="lexical", expand=("multi_query",), explain=True)
        assert found.passages[0].title == "Returns"
        assert found.explanation["variants"] == ["zyxophrine", "how long is it"]
        assert await ask(service, "How do I?", mode="lexical", expand=("multi_query",))
        assert model.asked == [("How do I?", "bob")]
        assert not (await ask(service, "zyx-99-A", expand=("multi_query", "hyde"))).notes
        assert len(model.asked) == 1  # other words for a part number lead away from it

        said[0] = "The warranty of the kettle is three years."
        found = await ask(service, "Something else", mode="dense", expand=("hyde",), explain=True)
        assert found.passages[0].title == "Terms"
        assert found.explanation["passages"] == [said[0]]

        failures: list[tuple[str | Exception | float, str]] = [
            (UpstreamUnavailable("away"), "away"),
            (BudgetExceeded("spent"), "spent"),
            (RateLimited("slow down", retry_after=3), "slow down"),
            (NotFound("no such model"), "no such model"),
            ("", "no text"),
            ("<think>hm", "no text"),
            (NOBODY, "offline provider"),
        ]
        for number, (failure, reason) in enumerate(failures):
            said[0] = failure
            found = await ask(service, f"warranty {number}", mode="lexical", expand=("multi_query",))
            assert found.passages[0].title == "Terms"
            (note,) = found.notes
            assert note.startswith("multi_query: ")
            assert reason in note
        with pytest.raises(InvalidRequest, match="'expand' has"):
            await ask(service, "warranty", expand=("guess",))
        with pytest.raises(InvalidRequest, match="at most 8 texts"):
            await ask(service, "warranty", variants=("x",) * 9)
        asked = len(model.asked)
        with pytest.raises(NotFound, match="no collection 'absent'"):
            absent = RetrievalRequest("another warranty", ("absent",), expand=("multi_query",))
            await service.retrieve(absent, Call(Caller("bob", "a"), "r"))
        assert len(model.asked) == asked, "a model is not asked for what is not there"
        by_itself = await ask(service, "Something else", mode="lexical", variants=("zyxophrine",))
        assert [passage.title for passage in by_itself.passages] == ["Returns"]
    said[0] = 600.0
    async with open_rag(section(timeout_seconds=0.05), tmp_path, chat=model) as service:
        found = await ask(service, "warranty", mode="lexical", expand=("hyde",))
        assert (found.passages[0].title, found.notes) == (
            "Terms",
            ("hyde: vendor/small did not answer within 0.05 s",),
        )
    async with open_rag(section(), tmp_path, chat=model) as service:
        with pytest.raises(InvalidRequest, match="No model is set up"):
            await ask(service, "warranty", expand=("hyde",))
        with pytest.raises(InvalidRequest, match="No model is set up"):
            nowhere = RetrievalRequest("warranty", (), expand=("hyde",))
            await service.retrieve(nowhere, Call(Caller("bob", "a"), "r"))


async def test_each_chunk_with_a_line_and_each_document_with_a_summary(tmp_path: Path) -> None:
    """Found by what the model wrote, shown without; a newer version and a job done again pay for what is new alone."""
    refuse: list[IntelliRouterError] = []
    lines, limited = 0, asyncio.Event()

    def writes(system: str, user: str) -> str | Exception | float:
        nonlocal lines
        if refuse:
            if isinstance(refuse[0], RateLimited):
                limited.set()
            return refuse[0]
        if "Summarise" in system:
            return "A quibblewort of two sections."
        lines += 1
        return f"It is about the flumadiddle, {user.rpartition(':')[2].split()[0]}."

    model, ring = Model(writes), Ring()
    two = "# One\n\nThe first is red.\n\n# Two\n\nThe second is blue."
    options = section(contexts=True, summaries=True)
    async with open_rag(options, tmp_path, chat=model, authority=ring) as service:
        await service.create("a", "docs")
        row = await kept(service, "x.md", two)
        assert (row["status"], row["note"], lines) == ("ready", None, 2)
        assert {key for _, key in model.asked} == {"ann"}  # whoever left the document pays
        (found, other) = (await ask(service, "flumadiddle", mode="lexical", top_k=2)).passages
        assert {found.text, other.text} == {"The first is red.", "The second is blue."}
        (found,) = (await ask(service, "quibblewort", mode="lexical")).passages
        assert found.location == "summary, written by a model"
        shown = await service.chunks("a", "docs", "x.md")
        assert [row["context"][:24] for row in shown] == ["It is about the flumadid"] * 2 + [""]

        id_ = (await service.documents("a", "docs"))[0]["id"]
        told = await service.engine.read(partial(texts_of, document=id_, without=SUMMARY))
        assert told == ["The first is red.", "The second is blue."]  # what a file of a vector store holds

        await kept(service, "x.md", two.replace("blue", "green"))
        assert (lines, len(model.asked)) == (3, 5)  # one line, one summary
        assert {p.text for p in (await ask(service, "flumadiddle", mode="lexical")).passages} == {
            "The first is red.",
            "The second is green.",
        }
        assert await service.verify("a", "docs") == ([], [])

        refuse.append(BudgetExceeded("The budget is spent."))
        row = await kept(service, "x.md", two.replace("blue", "green") + "\n\n# Three\n\nThe third is grey.")
        assert row["status"] == "ready"
        assert row["note"] == "1 of 3 chunks have no context and there is no summary: The budget is spent."
        refuse[:] = [RateLimited("wait", retry_after=0.1)]
        job = await service.submit("a", "docs", "z.md", b"A third.", owner=Owner("a", "ann", "key_1"))
        async with asyncio.timeout(60):
            await limited.wait()
            refuse.clear()
            assert (await service.ended("a", job))["note"] is None
        before = len(model.asked)
        for job in await service.reindex("a", "docs"):  # what was missing is asked for again
            async with asyncio.timeout(60):
                assert (await service.ended("a", job))["note"] is None
        assert len(model.asked) == before + 2  # a line and a summary of x.md
    async with open_rag(section(), tmp_path, chat=model) as service:  # off again: what is there is found
        assert (await ask(service, "quibblewort", mode="lexical")).passages
        await service.drop_document("a", "docs", "x.md")
        left = (await ask(service, "quibblewort", mode="lexical")).passages
        assert [passage.metadata["filename"] for passage in left] == ["z.md"]


async def test_a_silent_model_is_given_up(tmp_path: Path) -> None:
    model = Model(lambda _system, _user: UpstreamUnavailable("away"))
    options = section(contexts=True, max_chunks=14, collections=["docs"])
    async with open_rag(options, tmp_path, chat=model) as service:
        await service.create("a", "docs")
        row = await kept(service, "x.md", "\n\n".join(f"# {n}\n\nSection {n}." for n in range(15)))
        assert (row["status"], row["note"]) == ("ready", "14 of 15 chunks have no context: away")
        assert len(model.asked) == 12

        text = " ".join(f"Sentence number {n} tells of a ship." for n in range(40)).encode()
        cut = []
        await service.create("a", "plain")
        await service.engine.write(
            lambda db: db.execute("insert into files values ('f', 'a', 'y.md', 'assistants', 1, '0', 0)")
        )
        for name in ("docs", "plain"):  # a line takes nothing of the tokens that an attached file is cut by
            await service.ended("a", await service.submit("a", name, "y.md", text))
            await service.engine.write(
                lambda db: db.execute(
                    "insert or ignore into attachments select id, 'f', 0, 100, 0 from documents where name = 'y.md'"
                )
            )
            await service.ended("a", await service.submit("a", name, "y.md", text + b" The end."))
            cut.append([row["text"] for row in await service.chunks("a", name, "y.md")])
        assert cut[0] == cut[1]
        assert len(cut[0]) > 3


def test_what_a_model_answers_as_queries() -> None:
    answer = '1. "kettle warranty"\n* Kettle Warranty\n\n– how long\n10) what is it\nWhat is it?'
    assert queries_of(answer, "what is it?", 8) == ("kettle warranty", "how long", "what is it")
    assert queries_of("x" * 9_000, "q", 3) == ("x" * 500,)


def test_an_older_neighbour_is_told_only_what_was_said() -> None:
    assert {"expand", "variants", "passages"}.isdisjoint(retrieval_document(RetrievalRequest("q", ("c",))))
    told = retrieval_document(RetrievalRequest("q", (), expand=(), variants=("x",)))
    assert (told["collections"], told["expand"], told["variants"]) == ((), (), ("x",))
    assert retrieved_of({"passages": [], "notes": ["hyde: away"]}).notes == ("hyde: away",)


async def test_a_running_node_asks_its_router(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """In the name of the key: its models hold, and it is billed."""

    def written(received: Received) -> Play:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "zyxophrine"},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        body = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        return Play.json(body)

    vendor = await start_vendor(written)
    keys = "[auth]\nenabled = true\n" + "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\nmodels = ["{models}"]\n'
        for name, models in (("ann", "primary/m"), ("bob", "primary/other"))
    )
    keys += f'[[auth.keys]]\nname = "root"\nsha256 = "{hashlib.sha256(b"root").hexdigest()}"\nscopes = ["admin"]\n'
    rag = f'[rag]\nembedding_model_path = "{minilm()}"\n[[rag.assist]]\nmodel = "primary/m"\nexpand = ["multi_query"]\n'
    node = await start_node(rag + keys + provider(vendor), role="All")
    url = next(each.url for each in node.listening if each.role == "RagManager")

    async def post(path: str, key: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {key}"}
        async with http.post(f"{url}/rag/v1/{path}", headers=headers, **body) as reply:
            return await reply.json()

    await post("collections", "ann", json={"name": "docs"})
    job = (await post("collections/docs/documents?name=c.md", "ann", data=PAGES["c.md"]))["job"]
    async with (
        asyncio.timeout(60),
        http.get(f"{url}/rag/v1/jobs/{job}/events", headers={"authorization": "Bearer ann"}) as events,
    ):
        await events.read()
    query = {"query": "How do I?", "collections": ["docs"], "mode": "lexical"}
    assert (await post("retrieve", "ann", json=query))["passages"][0]["title"] == "Returns"
    refused = await post("retrieve", "bob", json=query)
    assert refused["passages"] == []
    assert refused["notes"]
    assert len(vendor.received) == 1
    router = next(each.url for each in node.listening if each.role == "Router")
    async with asyncio.timeout(60):
        while True:  # what was used is written down behind the answer
            async with http.get(
                f"{router}/admin/spend?by=key", headers={"authorization": "Bearer root"}
            ) as reply:
                days = (await reply.json())["days"]
            used = {row["key"]: row["output_tokens"] for listed in days.values() for row in listed}
            if "ann" in used:
                break
            await asyncio.sleep(0.05)
    assert used == {"ann": 3}
