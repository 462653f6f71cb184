"""The whole configuration: one field per top-level table."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from intellirouter.config.schema.alerts import AlertsSection
from intellirouter.config.schema.auth import AuthSection
from intellirouter.config.schema.backup import BackupSection
from intellirouter.config.schema.cache import CacheSection
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.config.schema.console import ConsoleSection
from intellirouter.config.schema.features import FeaturesSection
from intellirouter.config.schema.guards import GuardSection
from intellirouter.config.schema.ipc import IpcSection
from intellirouter.config.schema.keeping import KeepingSection
from intellirouter.config.schema.limits import BudgetsSection, LimitsSection
from intellirouter.config.schema.memory import MemorySection
from intellirouter.config.schema.model_registry import ModelRegistrySection
from intellirouter.config.schema.outgoing import OutgoingSection
from intellirouter.config.schema.paths import PathsSection
from intellirouter.config.schema.persona_layer import PersonaLayerSection
from intellirouter.config.schema.rag import RagSection
from intellirouter.config.schema.records import RecordsSection
from intellirouter.config.schema.roles import RolesSection
from intellirouter.config.schema.router import RouterSection
from intellirouter.config.schema.section import Section, empty
from intellirouter.config.schema.security import SecuritySection
from intellirouter.config.schema.server import ServerSection
from intellirouter.config.schema.sources import SourcesSection
from intellirouter.config.schema.telemetry import TelemetrySection


class Settings(Section):
    """Everything a node is told. Frozen; a component receives only its own section."""

    environment: Literal["development", "production", "test"] = Field(
        default="development",
        description="production: JSON logs, warnings of what is unsafe in public, and no secret that everybody knows",
    )
    server: ServerSection = Field(default_factory=empty(ServerSection))
    roles: RolesSection = Field(default_factory=empty(RolesSection))
    telemetry: TelemetrySection = Field(default_factory=empty(TelemetrySection))
    memory: MemorySection = Field(default_factory=empty(MemorySection))
    ipc: IpcSection = Field(default_factory=empty(IpcSection))
    auth: AuthSection = Field(default_factory=empty(AuthSection))
    model_registry: ModelRegistrySection = Field(default_factory=empty(ModelRegistrySection))
    features: FeaturesSection = Field(
        default_factory=empty(FeaturesSection), description="switches: on, off, or a share"
    )
    router: RouterSection = Field(default_factory=empty(RouterSection))
    limits: LimitsSection = Field(default_factory=empty(LimitsSection))
    budgets: BudgetsSection = Field(default_factory=empty(BudgetsSection))
    guards: tuple[GuardSection, ...] = Field(
        default=(), description="what must not go to a model, come from it, or be believed"
    )
    cache: CacheSection = Field(default_factory=empty(CacheSection))
    console: ConsoleSection = Field(default_factory=empty(ConsoleSection))
    chain_engine: ChainEngineSection = Field(default_factory=empty(ChainEngineSection))
    rag: RagSection = Field(default_factory=empty(RagSection))
    persona_layer: PersonaLayerSection = Field(default_factory=empty(PersonaLayerSection))
    records: RecordsSection = Field(default_factory=empty(RecordsSection))
    alerts: AlertsSection = Field(default_factory=empty(AlertsSection))
    outgoing: OutgoingSection = Field(default_factory=empty(OutgoingSection))
    security: SecuritySection = Field(default_factory=empty(SecuritySection))
    secrets: SourcesSection = Field(default_factory=empty(SourcesSection))
    keeping: KeepingSection = Field(default_factory=empty(KeepingSection))
    backup: BackupSection = Field(default_factory=empty(BackupSection))
    paths: PathsSection = Field(default_factory=empty(PathsSection))

    @property
    def logs_json(self) -> bool:
        """Whether logs are JSON: as told, or in production."""
        wanted = self.telemetry.log_format
        return wanted in ("json", "ecs") or (wanted == "auto" and self.environment == "production")

    @field_validator("environment", mode="before")
    @classmethod
    def _spellings(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        word = value.strip().lower()
        return {"prod": "production", "dev": "development", "testing": "test"}.get(word, word)
