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
from intellirouter.config.schema.section import Section
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
    server: ServerSection = Field(default_factory=ServerSection)
    roles: RolesSection = Field(default_factory=RolesSection)
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection)
    memory: MemorySection = Field(default_factory=MemorySection)
    ipc: IpcSection = Field(default_factory=IpcSection)
    auth: AuthSection = Field(default_factory=AuthSection)
    model_registry: ModelRegistrySection = Field(default_factory=ModelRegistrySection)
    features: FeaturesSection = Field(
        default_factory=FeaturesSection, description="switches: on, off, or a share"
    )
    router: RouterSection = Field(default_factory=RouterSection)
    limits: LimitsSection = Field(default_factory=LimitsSection)
    budgets: BudgetsSection = Field(default_factory=BudgetsSection)
    guards: tuple[GuardSection, ...] = Field(
        default=(), description="what must not go to a model, come from it, or be believed"
    )
    cache: CacheSection = Field(default_factory=CacheSection)
    console: ConsoleSection = Field(default_factory=ConsoleSection)
    chain_engine: ChainEngineSection = Field(default_factory=ChainEngineSection)
    rag: RagSection = Field(default_factory=RagSection)
    persona_layer: PersonaLayerSection = Field(default_factory=PersonaLayerSection)
    records: RecordsSection = Field(default_factory=RecordsSection)
    alerts: AlertsSection = Field(default_factory=AlertsSection)
    outgoing: OutgoingSection = Field(default_factory=OutgoingSection)
    security: SecuritySection = Field(default_factory=SecuritySection)
    secrets: SourcesSection = Field(default_factory=SourcesSection)
    keeping: KeepingSection = Field(default_factory=KeepingSection)
    backup: BackupSection = Field(default_factory=BackupSection)
    paths: PathsSection = Field(default_factory=PathsSection)

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
