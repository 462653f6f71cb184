"""`[chain_engine]`: how chains run."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from intellirouter.config.schema.chain_edges import ChainCentre, ChainEdge, Label
from intellirouter.config.schema.section import HttpUrl, PostgresUrl, Seconds, Section, SigningSecret

_GAP = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ChainSecret(Section):
    """`[chain_engine.secrets.NAME]`: a secret that `http` steps name and never see. It is sent to its hosts and to nobody else."""

    value: SecretStr = Field(description="as in ${CRM_TOKEN}")
    hosts: tuple[str, ...] = Field(min_length=1, description="that it may be sent to: names, or *.suffix")
    header: str = Field(default="authorization", description="that carries it")
    scheme: str = Field(default="Bearer", description="put before it; empty for a bare key")
    tenants: tuple[str, ...] = Field(default=(), description="whose chains may use it; absent: all")


class ChainTool(Section):
    """`[chain_engine.tools.NAME]`: an HTTP address that `tool` and `agent` steps call by name. It may be anywhere: it is the operator's own.

    Arguments that stand in `{…}` of `url` go there, the others into the query of GET and DELETE and else into a JSON body.
    """

    url: HttpUrl = Field(description="as in https://api.example.com/orders/{order}")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="POST", description="how it is asked"
    )
    description: str = Field(default="", description="what it does, told to models that may call it")
    parameters: dict[str, Any] = Field(
        default_factory=lambda: {"type": "object"}, description="JSON Schema of its arguments"
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="sent along, as in Bearer ${KEY}")
    timeout_seconds: Seconds | None = Field(default=None, description="absent: the step's own")
    tenants: tuple[str, ...] = Field(default=(), description="whose chains may call it; absent: all")

    @model_validator(mode="after")
    def _whole(self) -> ChainTool:
        place = self.url.partition("://")[2]
        if "{" in place.partition("/")[0]:
            raise ValueError("url: the host must not depend on an argument")
        if self.parameters.get("type") != "object":
            raise ValueError('parameters: must be a schema of type "object"')
        known = self.parameters.get("properties", {})
        if lost := sorted(set(self.places) - set(known)):
            raise ValueError(f"url: {', '.join(lost)} must be described in parameters")
        return self

    @property
    def places(self) -> list[str]:
        """The arguments that stand in the address."""
        return _GAP.findall(self.url)


class ChainQueue(Section):
    """`[chain_engine.queues.NAME]`: runs that name it share these limits, on each node."""

    concurrency: int | None = Field(default=None, ge=1, description="of its runs at once; absent: any number")
    starts_per_minute: int | None = Field(default=None, ge=1, description="absent: any number")


class ChainFolder(Section):
    """`[chain_engine.folders.NAME]`: a folder of the node's machine in which triggers may look for files."""

    path: Path = Field(description="where it lies")
    tenants: tuple[str, ...] = Field(default=(), description="whose triggers may watch it; absent: all")


class ChainHook(Section):
    """`[chain_engine.hooks.NAME]`: a service that is told of ended runs (`evaluate` one by one, `optimise` in batches) or of runs that wait for somebody (`notify`), or asked before steps.

    What it is sent is signed in the Standard Webhooks form. An `evaluate` hook may answer a JSON object, which is kept with the run; a
    `govern` hook answers `{"allow": true}` or `{"allow": false, "reason": "…"}`.
    """

    kind: Literal["evaluate", "optimise", "govern", "notify"] = Field(description="what it is for")
    url: HttpUrl = Field(description="that is sent a POST")
    secret: SigningSecret = Field(description="that signs what it is sent")
    chains: tuple[str, ...] = Field(default=("*",), description="names, or patterns such as support-*")
    tenants: tuple[str, ...] = Field(default=(), description="whose runs; absent: all")
    steps: tuple[str, ...] = Field(
        default=(), description="govern: the kinds of steps; absent: all that have an effect"
    )
    on_error: Literal["open", "closed"] = Field(
        default="closed", description="govern: whether steps run while it gives no verdict"
    )
    link_base: HttpUrl | None = Field(
        default=None,
        description="notify: where people reach this node, as in https://chains.example.com: links to forms begin with it",
    )
    timeout_seconds: Seconds = Field(default=10, description="for its answer")
    batch_size: int = Field(default=100, ge=1, le=1_000, description="optimise: runs in one request at most")
    flush_interval: Seconds = Field(
        default=30, description="optimise: seconds that a run waits for others at most"
    )
    max_attempts: int = Field(
        default=10, ge=1, le=100, description="then it is given up: `chain hooks retry`"
    )

    @model_validator(mode="after")
    def _reached(self) -> ChainHook:
        if (self.kind == "notify") != (self.link_base is not None):
            wrong = "notify needs it" if self.link_base is None else "only notify has links"
            raise ValueError(
                f"link_base: {wrong}: where people reach this node, as in https://chains.example.com"
            )
        return self

    @property
    def hears_ends(self) -> bool:
        """Whether it is told of ended runs."""
        return self.kind in ("evaluate", "optimise")

    def concerns(self, chain: str, tenant: str) -> bool:
        """Whether it is for runs of this chain of this tenant."""
        mine = not self.tenants or tenant in self.tenants
        return mine and any(fnmatchcase(chain, pattern) for pattern in self.chains)


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
    database_url: PostgresUrl = Field(
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
    tools: dict[Label, ChainTool] = Field(
        default_factory=dict, description="HTTP tools that chains and agents call by name"
    )
    secrets: dict[Label, ChainSecret] = Field(
        default_factory=dict, description="secrets that http steps name and never see"
    )
    hooks: dict[Label, ChainHook] = Field(
        default_factory=dict, description="services that are told of runs or asked before steps"
    )
    folders: dict[Label, ChainFolder] = Field(
        default_factory=dict, description="folders that triggers may watch for files"
    )
    mode: Literal["standalone", "api", "worker", "hybrid"] = Field(
        default="standalone",
        description="standalone: takes runs and walks them; api: takes them for workers; worker: walks what others took; "
        "hybrid: as standalone, on its own file, and forwards to chain_engine.centre",
    )
    centre: ChainCentre | None = Field(
        default=None, description="where a node of mode hybrid forwards its runs"
    )
    edges: dict[Label, ChainEdge] = Field(
        default_factory=dict, description="nodes of mode hybrid whose runs this one takes"
    )
    auto_migrate: bool = Field(
        default=True, description="bring the database to this version at a start; false: `db migrate` does"
    )
    max_running: int | None = Field(
        default=None,
        ge=1,
        description="runs of a node that do something at once; more wait in line; absent: all are started at once",
    )
    max_line: int = Field(
        default=10_000,
        ge=1,
        description="runs that wait in line, four fifths of them of one tenant; then 429",
    )
    queues: dict[Label, ChainQueue] = Field(
        default_factory=dict, description="lines of their own, which starts and chains name"
    )
