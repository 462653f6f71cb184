"""Texts judged by a query, without a collection: by the node's reranker, or by how near its embedding model has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from intellirouter.bounds.names import name
from intellirouter.config.schema.rag import RagSection
from intellirouter.errors import NotFound, PermissionDenied
from intellirouter.peers.contract import RetrievalRequest
from intellirouter.roles.rag_manager.embedding.embedder import Embedder
from intellirouter.roles.rag_manager.reranking import Reranker
from intellirouter.security.caller import Caller

DEFAULT = "default"


class Judge:
    """`embedder` opens the node's embedding model in the name of a caller."""

    def __init__(
        self,
        section: RagSection,
        reranker: Reranker | None,
        embedder: Callable[[Caller], Awaitable[Embedder]],
    ) -> None:
        self._section, self._reranker, self._embedder = section, reranker, embedder

    def check(self, request: RetrievalRequest, caller: Caller) -> None:
        """Raises `PermissionDenied` where a retrieval asks for a reranker's model that the caller's key may not use."""
        if request.rerank is None:
            return
        name(request.rerank, "rerank")
        path = self._section.rerank_path
        known = path.name if path is not None else self._section.rerank_model
        model = known if path is not None or request.rerank == DEFAULT else request.rerank
        if model is not None and not caller.may_use(model):
            raise PermissionDenied(f"This key may not use the model '{model[:100]}'.", param="rerank")

    def model_of(self, asked: str, caller: Caller) -> str:
        """The model of that name; of `default` the reranker, or where there is none the embedding model.

        Raises `NotFound` for one that is not there, or that the caller's key may not use.
        """
        section, own = self._section, self._section.embedding_model
        known = section.rerank_path.name if section.rerank_path is not None else section.rerank_model
        anyone = self._reranker is not None and section.rerank_path is None  # a service has models of its own
        model = (known or own) if asked == DEFAULT else asked
        if model not in (known, own) and not anyone:
            names = " and ".join(f"'{one}'" for one in (known, own) if one is not None)
            raise NotFound(
                f"There is no model '{asked[:200]}' to rank with: this node has {names}.", param="model"
            )
        if not caller.may_use(model):
            raise NotFound(f"There is no model '{asked[:200]}' to rank with.", param="model")
        return model

    async def scores(self, model: str, query: str, texts: Sequence[str], caller: Caller) -> list[float]:
        """One score a text, higher is better: the reranker's, or cosines. Raises `PeerUnavailable` for a reranker that is away."""
        if self._reranker is not None and model != self._section.embedding_model:
            return await self._reranker.scores(model, query, texts, caller)
        vectors = await (await self._embedder(caller)).embed([query, *texts])
        cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
        return cosines
