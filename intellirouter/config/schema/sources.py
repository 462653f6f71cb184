"""`[secrets]`: where secrets are kept that the configuration only names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from intellirouter.config.schema.section import OptionalUrl, Seconds, Section, empty


class VaultSection(Section):
    """`[secrets.vault]`: for `vault://mount/path#field`. Signs in by what is given: an AppRole, a Kubernetes role, else a token."""

    address: OptionalUrl = Field(default=None, description="of Vault or OpenBao; else VAULT_ADDR")
    namespace: str | None = Field(default=None, description="else VAULT_NAMESPACE")
    token: SecretStr | None = Field(default=None, description="else VAULT_TOKEN")
    role_id: str | None = Field(default=None, description="of an AppRole")
    secret_id: SecretStr | None = Field(default=None, description="of an AppRole")
    kubernetes_role: str | None = Field(
        default=None, description="role of the Kubernetes auth method; the service account's token signs in"
    )
    kubernetes_token_file: Path = Field(
        default=Path("/var/run/secrets/kubernetes.io/serviceaccount/token"),
        description="the service account's token",
    )
    auth_mount: str | None = Field(
        default=None, description="where the auth method is mounted; approle or kubernetes otherwise"
    )
    kv_version: Literal[1, 2] = Field(
        default=2, description="of a KV engine that Vault does not tell the version of"
    )
    ca_file: Path | None = Field(default=None, description="PEM file of the authority of Vault's certificate")

    @property
    def signs_in_by(self) -> Literal["token", "approle", "kubernetes"]:
        """How it signs in."""
        return "approle" if self.role_id else "kubernetes" if self.kubernetes_role else "token"

    def token_text(self) -> str:
        """The token in clear; empty for none."""
        return self.token.get_secret_value() if self.token is not None else ""


class AwsSection(Section):
    """`[secrets.aws]`: for `aws-sm://name#field` and `aws-ssm://name`. What is left out, AWS' own order finds."""

    region: str | None = Field(default=None, description="else AWS_REGION, or the profile's")
    profile: str | None = Field(default=None, description="of ~/.aws/config")
    endpoint: OptionalUrl = Field(default=None, description="in place of the region's")
    access_key_id: str | None = Field(default=None, description="else AWS_ACCESS_KEY_ID, a role, …")
    secret_access_key: SecretStr | None = Field(default=None, description="that belongs to it")


class SourcesSection(Section):
    """`[secrets]`. Its own secrets are given as they are, or by file, env, credential or exec."""

    refresh_seconds: Seconds = Field(
        default=300, description="after which a source is looked at again at the latest"
    )
    timeout: Seconds = Field(default=10, description="for a source to answer, or a program to end")
    vault: VaultSection = Field(default_factory=empty(VaultSection))
    aws: AwsSection = Field(default_factory=empty(AwsSection))
