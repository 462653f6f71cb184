"""`[rag]`: documents in, cited context out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from intellirouter.config.schema.rag_assist import RagAssist
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.config.schema.section import HttpUrl, OptionalUrl, Section

NodeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class RerankPrice(Section):
    """`[rag.rerank_price]`: what a reranking service takes, in US dollars. Some count requests, others tokens."""

    input: float = Field(
        default=0, ge=0, description="of a million tokens; the query counts with each text it is put to"
    )
    request: float = Field(default=0, ge=0, description="of each request")


class RagSection(Section):
    """`[rag]`. Without `vector_db_url` an embedded Chroma lives in the data directory."""

    enabled: bool = Field(default=True, description="false leaves the RagManager out of --role All")
    vector_db_url: OptionalUrl = Field(default=None, description="a Chroma server, http(s)://host:port")
    vector_db_shards: tuple[HttpUrl, ...] = Field(
        default=(), description="further Chroma servers; vectors are spread over vector_db_url and these"
    )
    vector_copies: int = Field(
        default=1,
        ge=1,
        description="servers that hold each vector; `rag rebuild` writes what is there already again",
    )
    on_shard_error: Literal["fail", "partial"] = Field(
        default="fail", description="when a shard is away: answer 503, or with what the others hold"
    )
    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="the local one, or provider/model, asked through the Router; a collection keeps the one it was made with",
    )
    embedding_max_tokens: int = Field(
        default=512, ge=64, description="what a provider's model sees of one text; the local one sees 254"
    )
    embedding_model_path: Path | None = Field(
        default=None, description="a directory with model.onnx and tokenizer.json"
    )
    helpers: tuple[HttpUrl, ...] = Field(
        default=(), description="other RagManagers with the same local model, which embed for this one too"
    )
    nodes: dict[NodeName, HttpUrl] = Field(
        default_factory=dict,
        description="every RagManager of the installation by name, this one too; each collection is placed on one, or split over all",
    )
    node: NodeName | None = Field(default=None, description="this one's name among rag.nodes")
    embedding_threads: int = Field(default=0, ge=0, description="threads of the local model; 0: one a core")
    chunk_size: int = Field(default=1000, ge=50, description="characters")
    chunk_overlap: int = Field(default=200, ge=0, description="characters")
    fusion: Literal["convex", "rrf"] = Field(
        default="convex", description="how dense and lexical results are merged"
    )
    fusion_alpha: float = Field(
        default=0.8,  # of questions; a query that names something exactly leans to its words by itself
        ge=0,
        le=1,
        description="weight of the dense score in convex fusion, for a plain question; what is none leans to words a little, what names something exactly more",
    )
    feedback: bool = Field(
        default=True,
        description="a query that describes at length is ranked again by what its best candidates have in common",
    )
    rerank_url: OptionalUrl = Field(
        default=None, description="a service of the /rerank form (Cohere, Jina, vLLM, …), the whole address"
    )
    rerank_path: Path | None = Field(
        default=None,
        description="a local cross-encoder instead: a directory with model.onnx and tokenizer.json",
    )
    rerank_model: str | None = Field(
        default=None, description="the service's model for requests that say rerank = default"
    )
    rerank_price: RerankPrice | None = Field(
        default=None, description="of rerank_url; absent: as budgets.unknown_price says"
    )
    rerank_api_key: SecretStr | None = Field(default=None, description="for rerank_url")
    rerank_timeout_seconds: float = Field(default=5.0, gt=0, description="seconds to judge 50 candidates")
    rerank_on_error: Literal["skip", "fail"] = Field(
        default="skip", description="when it does not answer: keep the fused order, or answer 503"
    )
    max_chunks_per_document: int = Field(
        default=3, ge=1, description="passages of one document in one result"
    )
    max_document_bytes: int = Field(default=64 << 20, ge=1, description="largest document taken")
    sources: tuple[RagSource, ...] = Field(
        default=(), max_length=1_000, description="places whose documents collections follow"
    )
    assist: tuple[RagAssist, ...] = Field(
        default=(), max_length=1_000, description="collections that a chat model helps with"
    )
    parse_timeout_seconds: int = Field(default=60, ge=1, description="CPU seconds to read one document")
    parse_memory_bytes: int = Field(default=1 << 30, ge=256 << 20, description="memory to read one document")
