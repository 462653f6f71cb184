"""`[chain_engine]`: how chains run."""

from __future__ import annotations

from pydantic import Field, SecretStr

from intellirouter.config.schema.section import Seconds, Section


class ChainEngineSection(Section):
    """`[chain_engine]`.

    `database_url` is a Postgres that many nodes share (`postgresql://…`); without it runs are recorded in
    `chains.db` of the data directory, for this node alone. `max_queued` bounds the runs a node has under way,
    `max_waiting` those and the ones that wait for a signal or sleep; the next one is refused with 429. `wait_timeout_seconds` bounds how long a call
    with `mode` "wait" stays open; the run itself goes on.
    """

    enable_caching: bool = Field(default=True, description="keep the results of steps that say cache")
    max_parallel_steps: int = Field(default=10, ge=1, description="of one run")
    default_timeout_seconds: Seconds = Field(default=30, description="for a step that names none")
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://…, shared by many nodes; absent: chains.db in the data directory",
    )
    retention_days: int = Field(
        default=30, ge=0, description="ended runs are deleted so long after their start; 0: never"
    )
    max_queued: int = Field(
        default=1_000,
        ge=1,
        description="runs under way on a node that do something; the next one is refused with 429",
    )
    max_waiting: int = Field(
        default=10_000,
        ge=1,
        description="runs of a node in all, those that wait for a signal or sleep included; the next one is refused with 429",
    )
    max_parallel_calls: int = Field(
        default=100, ge=1, description="calls at once of all runs of a node; more wait their turn"
    )
    wait_timeout_seconds: Seconds = Field(
        default=300,
        description="how long a call that waits for the end of its run stays open; the run goes on",
    )
