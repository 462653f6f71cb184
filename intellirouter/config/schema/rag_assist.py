"""`[[rag.assist]]`: for which collections a chat model helps, and how."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from intellirouter.config.schema.section import Section

Expansion = Literal["multi_query", "hyde"]


class RagAssist(Section):
    """`[[rag.assist]]`: a chat model that helps with some collections. The first row that fits a collection holds; without one nothing is asked."""

    collections: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="patterns of their names; * stands for anything"
    )
    tenant: str | None = Field(default=None, description="whose collections; absent: everybody's")
    model: str = Field(
        min_length=1,
        description="as a client would name it at the Router; whoever searches or leaves a document pays",
    )
    expand: tuple[Expansion, ...] = Field(
        default=(),
        description="of searches that say nothing themselves: multi_query looks up the question in other words too, hyde a passage as might answer it",
    )
    queries: int = Field(default=3, ge=1, le=8, description="other wordings of a question")
    timeout_seconds: float = Field(
        default=5.0, gt=0, le=120, description="for the model when a search waits; then it goes on without"
    )
    contexts: bool = Field(
        default=False,
        description="each chunk is indexed with a line or two on what it is about and where in its document it stands",
    )
    summaries: bool = Field(
        default=False, description="each document gets a summary, which is found like a chunk of it"
    )
    max_chunks: int = Field(
        default=200, ge=1, le=10_000, description="of one document that contexts are asked for"
    )
    write_timeout_seconds: float = Field(
        default=60.0, gt=0, le=600, description="for one context or summary; the chunk is then taken without"
    )

    def fits(self, tenant: str, collection: str) -> bool:
        """Whether this row is for that collection."""
        return self.tenant in (None, tenant) and any(fnmatchcase(collection, one) for one in self.collections)

    @property
    def writes(self) -> bool:
        """Whether anything is asked when a document comes in."""
        return self.contexts or self.summaries
