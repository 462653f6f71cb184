"""`[rag]`: documents in, cited context out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from intellirouter.config.schema.section import Section


class RagSection(Section):
    """`[rag]`. Without `vector_db_url` an embedded Chroma lives in the data directory."""

    enabled: bool = True
    vector_db_url: str | None = None
    embedding_model: str = "all-MiniLM-L6-v2"
    embedding_model_path: Path | None = None
    chunk_size: int = Field(default=1000, ge=50, description="characters")
    chunk_overlap: int = Field(default=200, ge=0, description="characters")
