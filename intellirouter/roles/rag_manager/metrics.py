"""What the RagManager counts, beside what every role does."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from intellirouter.telemetry.light import LightCounter, LightHistogram

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class RagMetrics:
    """Labels have few values, none of them from a client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.retrievals = LightCounter(
            "rag_retrievals", "Retrievals: found, empty, partial, refused or failed", ("outcome",), registry
        )
        self.retrieval_seconds = LightHistogram(
            "rag_retrieval_duration_seconds", "Time of a retrieval", (), registry, buckets=_SECONDS
        )
        self.jobs = LightCounter(
            "rag_jobs", "Ingestion jobs: ready, failed, cancelled or waiting", ("outcome",), registry
        )
        self.chunks = LightCounter("rag_chunks_stored", "Chunks embedded and stored", (), registry)
        self.looks = LightCounter(
            "rag_source_looks", "Looks at sources: ok, partial, failed or interrupted", ("outcome",), registry
        )
