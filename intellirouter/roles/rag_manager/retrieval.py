"""Dense and lexical candidates, fused, thinned, within a budget."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog

from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import Conflict, InvalidRequest, PeerUnavailable
from intellirouter.memory.embedded.engine import Engine
from intellirouter.peers.contract import RetrievalRequest, Retrieved
from intellirouter.roles.rag_manager import catalog, openai_catalog
from intellirouter.roles.rag_manager.assist import expansion, fusing
from intellirouter.roles.rag_manager.catalog import CollectionRow
from intellirouter.roles.rag_manager.choosing import Found, choose
from intellirouter.roles.rag_manager.embedding.embedder import Embedder
from intellirouter.roles.rag_manager.feedback import fed_back, helps
from intellirouter.roles.rag_manager.filters import ALL, Condition, condition_of
from intellirouter.roles.rag_manager.ranking import Candidates, explained, ranked, relevant
from intellirouter.roles.rag_manager.relevance import Noise, asks_of_all, is_chatter
from intellirouter.roles.rag_manager.reranking import MOST, Reranker
from intellirouter.roles.rag_manager.shape import alpha_for
from intellirouter.roles.rag_manager.word_lookup import WordLookup
from intellirouter.security.caller import Caller, Reach
from intellirouter.telemetry.tracing.span import step
from intellirouter.vectors.index import VectorIndex, Vectors
from intellirouter.vectors.sharded import ShardsAway

CANDIDATES = 100
EXACT = 5_000
"""Up to so many chunks that pass a filter are scored one by one instead of through the index."""
WIDENED = 10
"""How much further the index is asked when a filter passes more than `EXACT`."""
TRIES = 4
"""Of a search while documents are being replaced."""
KEPT_QUERIES = 512
T = TypeVar("T")
MAX_TOP_K = 100
log = structlog.get_logger(__name__)


class Searcher:
    """Looks up passages; keeps query vectors and results. A result is kept until its collections change (epoch)."""

    def __init__(
        self, section: RagSection, engine: Engine, index: VectorIndex, reranker: Reranker | None
    ) -> None:
        self._reranker = reranker
        self._section = section
        self._engine = engine
        self._index = index
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._results: OrderedDict[str, Retrieved] = OrderedDict()
        self._noise = Noise()
        self._words = WordLookup(engine)

    async def work(self) -> None:
        """What is done beside searches, for as long as the process lives."""
        await self._words.work()

    async def search(
        self,
        request: RetrievalRequest,
        collections: Sequence[CollectionRow],
        embedder: Embedder,
        caller: Caller,
    ) -> Retrieved:
        """The passages, best first."""
        self.check(request)
        reach = caller.reach()
        key = _key(request, collections, reach)
        if not request.explain and (kept := self._results.get(key)) is not None:
            self._results.move_to_end(key)
            return kept
        found = await self.chosen(
            request, await self.candidates(request, collections, embedder, caller.reach()), caller
        )
        if not found.partial and not request.explain:
            _put(self._results, key, found)
        return found

    def check(self, request: RetrievalRequest) -> None:
        """Raises `InvalidRequest` for what no node could answer."""
        if not request.query.strip():
            raise InvalidRequest("The query is empty.", param="query")
        condition_of(request.filters)
        if not 1 <= request.top_k <= MAX_TOP_K:
            raise InvalidRequest(f"top_k is 1 to {MAX_TOP_K}.", param="top_k")
        for name, given in (("variants", request.variants), ("passages", request.passages)):
            if len(given) > expansion.MOST or any(not 0 < len(one) <= expansion.LONGEST for one in given):
                raise InvalidRequest(
                    f"'{name}' has at most {expansion.MOST} texts of 1 to {expansion.LONGEST:,} characters.",
                    param=name,
                )
        if wrong := set(request.expand or ()) - set(expansion.KINDS):
            raise InvalidRequest(
                f"'expand' has {' and '.join(expansion.KINDS)}, not '{min(wrong)[:50]}'.", param="expand"
            )
        if request.rerank is not None and (self._reranker is None or not self._rerank_model(request)):
            raise InvalidRequest(
                "No reranker is set up for this: rag.rerank_path, or rag.rerank_url and rag.rerank_model.",
                param="rerank",
            )

    async def candidates(
        self,
        request: RetrievalRequest,
        collections: Sequence[CollectionRow],
        embedder: Embedder,
        reach: Reach,
    ) -> list[Candidates]:
        """What of each collection comes into question. Raises `Conflict` for one of another model."""
        for row in collections:
            if row.model != embedder.model:
                raise Conflict(
                    f"'{row.name}' is pinned to {row.model}; this node embeds with {embedder.model}. "
                    f"'intellirouter rag reindex {row.name}' reads it again with this node's model."
                )
        if request.relevant and is_chatter(request.query):
            return []
        try:
            async with asyncio.TaskGroup() as group:
                vector = group.create_task(self._vector(request.query, embedder, reach))
                texts = (*request.variants, *request.passages)
                others = group.create_task(self._each_vector(texts, embedder, reach)) if texts else None
                tasks = [
                    group.create_task(self._in_one(request, row, vector, others, embedder))
                    for row in collections
                ]
        except ExceptionGroup as several:  # the caller is told of the first, not of a group
            raise several.exceptions[0] from several
        return [task.result() for task in tasks]

    async def chosen(
        self, request: RetrievalRequest, candidates: Sequence[Candidates], caller: Caller
    ) -> Retrieved:
        """The best of all candidates. A reranker that costs is asked in the caller's name."""
        found, note = await self._reranked(request, ranked(self._section, request, candidates), caller)
        if request.relevant and not asks_of_all(request.query):
            found = relevant(request.query, found, candidates)
        passages = choose(request, found, self._section.max_chunks_per_document)
        files = await self.files({passage.document_id for passage in passages})
        for one in candidates:
            files |= one.files
        return Retrieved(
            tuple(
                replace(passage, metadata=files[passage.document_id])
                if passage.document_id in files
                else passage
                for passage in passages
            ),
            any(one.partial for one in candidates),
            explanation=explained(self._section, request, found, note, candidates) if request.explain else {},
        )

    async def files(self, documents: Collection[str]) -> dict[str, dict[str, Any]]:
        """By document: its name, and its id where it is an uploaded file."""
        return await self._engine.read(partial(openai_catalog.files_of, documents=documents))

    async def _vector(self, query: str, embedder: Embedder, reach: Reach) -> Vectors:
        key = repr((reach, query))
        vector = self._vectors.get(key)
        if vector is None:
            with step("embed the question"):
                vector = (await embedder.embed([query]))[0]
        _put(self._vectors, key, vector)
        return vector

    async def _each_vector(self, texts: Sequence[str], embedder: Embedder, reach: Reach) -> list[Vectors]:
        return [await self._vector(text, embedder, reach) for text in texts]

    async def _in_one(
        self,
        request: RetrievalRequest,
        row: CollectionRow,
        embedding: asyncio.Task[Vectors],
        others: asyncio.Task[list[Vectors]] | None,
        embedder: Embedder,
    ) -> Candidates:
        """Once more where a document was replaced meanwhile: what was found of its old version is shown no more."""
        known = embedder.knows(request.query)
        for _ in range(TRIES):
            found = await self._found_in(request, row, embedding, known=known)
            if others is not None:
                found = await self._widened(request, found, await embedding, await others)
            if len(found.chunks) == len(found.dense.keys() | found.lexical.keys()):
                break
            epoch = await self._engine.read(partial(catalog.epoch_of, collection=row.id))
            if epoch == row.epoch:
                break
            row = replace(row, epoch=epoch)
        floor = await self._floor(row, embedder) if request.relevant and known else 0.0
        return replace(found, floor=floor, known=known, fluency=embedder.fluency(request.query))

    async def _floor(self, row: CollectionRow, embedder: Embedder) -> float:
        async def nearest(vector: Vectors) -> float | None:
            hits, _ = await self._tolerated(self._index.query(row.id, vector, 1))
            return hits[0].score if hits else None

        return await self._noise.floor(row.id, row.epoch, embedder.model, embedder.embed, nearest)

    async def _found_in(
        self,
        request: RetrievalRequest,
        row: CollectionRow,
        embedding: asyncio.Future[Vectors],
        *,
        known: bool,
    ) -> Candidates:
        """The words are looked up while the query is embedded."""
        condition = condition_of(request.filters)
        lexical, (dense, whole) = await asyncio.gather(
            self._words.search(row.id, request.query, CANDIDATES, condition),
            self._dense(row.id, embedding, condition),
        )
        unseen = [id_ for id_ in lexical if id_ not in dense]
        (stored, all_there), chunks = await asyncio.gather(
            self._tolerated(self._index.fetch(row.id, unseen)),
            self._engine.read(partial(catalog.read_chunks, ids=[*dense, *unseen])),
        )
        vector = await embedding
        dense |= {id_: float(other @ vector) for id_, other in stored.items()}
        found = Candidates(row, dense, lexical, chunks, partial=not (whole and all_there))
        if not (
            self._section.feedback and known and request.mode == "fused" and helps(request.query, lexical)
        ):
            return found
        return await self._fed_back(request.query, found, vector, stored)

    async def _widened(
        self, request: RetrievalRequest, found: Candidates, own: Vectors, others: Sequence[Vectors]
    ) -> Candidates:
        """With what its other wordings find, and what is near a passage as might answer it."""
        row = found.collection
        wordings = (
            *request.variants,
            *[""] * len(request.passages),
        )  # a passage is looked up by what it means alone
        parts = await asyncio.gather(
            *(
                self._found_in(replace(request, query=text), row, _settled(vector), known=False)
                for text, vector in zip(wordings, others, strict=True)
            )
        )
        ids = list(dict.fromkeys(id_ for one in (found, *parts) for id_ in one.chunks))
        stored, whole = await self._tolerated(self._index.fetch(row.id, ids))
        mixed = fusing.mixed(own, others)
        near = {id_: float(vector @ mixed) for id_, vector in stored.items()}
        merged = replace(fusing.together(found, parts, near), partial=found.partial or not whole)
        if found.fed is None:
            return merged
        return await self._fed_back(request.query, merged, mixed / (np.linalg.norm(mixed) or 1.0), stored)

    async def _fed_back(
        self, query: str, found: Candidates, vector: Vectors, vectors: Mapping[str, Vectors]
    ) -> Candidates:
        """The candidates with their scores after feedback."""
        others = [id_ for id_ in found.dense if id_ not in vectors]
        more, _ = await self._tolerated(self._index.fetch(found.collection.id, others))
        alpha = alpha_for(query, self._section.fusion_alpha, found.lexical)
        fed = await asyncio.to_thread(
            fed_back,
            query,
            vector,
            found.dense,
            found.lexical,
            found.chunks,
            {**vectors, **more},
            alpha,
        )
        return replace(found, fed=fed)

    def _rerank_model(self, request: RetrievalRequest) -> str | None:
        if self._section.rerank_path is not None:  # there is one, whatever it is called
            return self._section.rerank_path.name if request.rerank is not None else None
        return self._section.rerank_model if request.rerank == "default" else request.rerank

    async def _reranked(
        self, request: RetrievalRequest, found: list[Found], caller: Caller
    ) -> tuple[list[Found], str | None]:
        """The best candidates in the reranker's order, and what an explanation says of it."""
        model = self._rerank_model(request)
        if self._reranker is None or model is None or not found:
            return found, None
        head = found[:MOST]
        try:
            scores = await self._reranker.scores(
                model,
                request.query,
                [f"{one.chunk.title}\n{one.chunk.location}\n{one.chunk.text}" for one in head],
                caller,
            )
        except PeerUnavailable as away:
            if self._section.rerank_on_error == "fail":
                raise
            log.warning("rag.rerank_skipped", reason=away.message)
            return found, f"skipped: {away.message}"
        for item, score in zip(head, scores, strict=True):
            item.rerank = score
        return [*sorted(head, key=lambda item: -(item.rerank or 0.0)), *found[MOST:]], model

    async def _dense(
        self, name: str, embedding: asyncio.Future[Vectors], condition: Condition
    ) -> tuple[dict[str, float], bool]:
        """Cosines by chunk id, and whether every shard answered."""
        if condition is ALL:
            return await self._nearest(name, embedding, CANDIDATES)
        few = await self._engine.read(
            partial(catalog.chunks_where, collection=name, condition=condition, most=EXACT + 1)
        )
        if len(few) <= EXACT:
            return await self._each(name, embedding, few)
        hits, whole = await self._nearest(name, embedding, CANDIDATES * WIDENED)
        passed = await self._engine.read(partial(catalog.of_those, ids=list(hits), condition=condition))
        best = [(id_, score) for id_, score in hits.items() if id_ in passed]
        return dict(best[:CANDIDATES]), whole

    async def _nearest(
        self, name: str, embedding: asyncio.Future[Vectors], limit: int
    ) -> tuple[dict[str, float], bool]:
        """By the index, nearest first."""
        vector = await embedding
        with step("look up vectors"):
            hits, whole = await self._tolerated(self._index.query(name, vector, limit))
        return {hit.id: hit.score for hit in hits}, whole

    async def _each(
        self, name: str, embedding: asyncio.Future[Vectors], ids: Sequence[str]
    ) -> tuple[dict[str, float], bool]:
        """One by one, nearest first."""
        stored, whole = await self._tolerated(self._index.fetch(name, ids))
        if not stored:
            return {}, whole
        scores = np.vstack(list(stored.values())) @ await embedding
        best = sorted(zip(stored, scores.tolist(), strict=True), key=lambda pair: -pair[1])
        return dict(best[:CANDIDATES]), whole

    async def _tolerated(self, call: Coroutine[Any, Any, T]) -> tuple[T, bool]:
        """The answer and True, or what the shards that answered hold and False, where the policy allows it."""
        try:
            return await call, True
        except ShardsAway as some:
            if self._section.on_shard_error == "fail":
                raise
            return some.found, False


def _key(request: RetrievalRequest, collections: Sequence[CollectionRow], reach: Reach) -> str:
    """The same only for callers who may just as much: what a key may not ask for, another's question does not give it."""
    where = [(row.id, row.epoch) for row in collections]
    how = (
        reach,
        *(request.query, request.top_k, request.filters),
        *(request.min_score, request.token_budget, request.rerank, request.relevant, request.mode),
        *(request.variants, request.passages),
    )
    return json.dumps((where, how), sort_keys=True, default=str)


def _settled(vector: Vectors) -> asyncio.Future[Vectors]:
    future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
    future.set_result(vector)
    return future


def _put(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KEPT_QUERIES:
        kept.popitem(last=False)
