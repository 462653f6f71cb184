"""`[[auth.jwt]]`, `[[auth.oidc]]` and `[auth.login]`: tokens of people, and how they sign in."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.section import Section

ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA")
"""Asymmetric ones only: whoever can check a token must not be able to make one."""


class ClaimsSection(Section):
    """An issuer of tokens, and what its claims say here."""

    issuer: str = Field(min_length=1, description="what its tokens say in `iss`, letter for letter")
    jwks_url: str | None = Field(
        default=None, description="where its keys are; without it, where its OpenID discovery document says"
    )
    algorithms: tuple[str, ...] = Field(
        default=("ES256", "RS256", "EdDSA"), min_length=1, description="how its tokens may be signed"
    )
    leeway_seconds: float = Field(default=30, ge=0, le=600, description="how wrong its clock may be")
    user_claim: str = Field(default="sub", description="claim with the name of the user")
    teams_claim: str = Field(default="groups", description="claim with the names of its teams")
    roles_claim: str = Field(default="roles", description="claim with its roles")
    tenant_claim: str | None = Field(default=None, description="claim with its tenant")
    tenant: str = Field(default="default", min_length=1, description="the tenant where no claim says one")
    roles: tuple[str, ...] = Field(default=(), description="roles that everybody from there has")
    role_map: dict[str, str] = Field(
        default={},
        description="what a role or team of a token is here; with it, no other word of roles counts",
    )

    @field_validator("algorithms")
    @classmethod
    def _asymmetric(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in ALGORITHMS:
                raise ValueError(f"'{name}' is not taken: one of {', '.join(ALGORITHMS)}")
        return value

    @field_validator("jwks_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (
            urlsplit(value).scheme not in ("https", "http") or not urlsplit(value).hostname
        ):
            raise ValueError("is no address such as https://idp.example.com/keys")
        return value


class JwtSection(ClaimsSection):
    """`[[auth.jwt]]`: an issuer of tokens that are taken in place of keys."""

    audience: tuple[str, ...] = Field(
        min_length=1, description="one of these must stand in `aud`: tokens for other programs are not taken"
    )


class OidcSection(ClaimsSection):
    """`[[auth.oidc]]`: a provider of identities where people sign in (OpenID Connect), to the console and `intellirouter login`."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="part of the address that the provider sends people back to: /auth/oidc/NAME/callback",
    )
    title: str = Field(
        default="", max_length=60, description="what the button says: Sign in with …; the name without it"
    )
    client_id: str = Field(min_length=1, description="what the provider calls this installation")
    client_secret: SecretStr | None = Field(
        default=None, description="absent: a public client, held to its sign-ins by PKCE alone"
    )
    scopes: tuple[str, ...] = Field(
        default=("openid", "profile", "email", "offline_access"),
        description="what the provider is asked for; openid is always among it",
    )
    userinfo: bool = Field(
        default=False, description="ask for the claims that are not in the ID token (roles, groups) too"
    )
    required_claims: dict[str, str] = Field(
        default={}, description="claims without which nobody is let in, as in hd = 'example.com'"
    )
    recheck_seconds: int = Field(
        default=3600,
        ge=60,
        description="how often the provider is asked whether a sign-in still holds, where it gives a refresh token",
    )
    session_hours: float = Field(
        default=12,
        gt=0,
        le=24 * 31,
        description="how long a sign-in lasts that the provider was not asked about again",
    )
    end_session: bool = Field(
        default=False, description="signing out of the console signs out of the provider too"
    )

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.title or self.name

    @field_validator("scopes")
    @classmethod
    def _openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not scope or scope.split() != [scope] for scope in value):
            raise ValueError("a scope is one word")
        return tuple(dict.fromkeys(("openid", *value)))

    @model_validator(mode="after")
    def _reachable(self) -> OidcSection:
        if urlsplit(self.issuer).scheme not in ("https", "http") or not urlsplit(self.issuer).hostname:
            raise ValueError("issuer: is no address such as https://idp.example.com/realms/main")
        return self


class LoginSection(Section):
    """`[auth.login]`: signing in with a name and a password (`POST /auth/login`); there from the first user with a password."""

    enabled: bool = Field(default=True, description="take passwords of users")
    token_seconds: int = Field(default=3600, ge=60, le=86_400, description="how long a token is good")
    refresh_seconds: int = Field(
        default=30 * 86_400, ge=300, description="how long who is signed in stays so without being seen"
    )
    secret: SecretStr | None = Field(
        default=None,
        description="what tokens are signed with, at least 32 characters; without it a key that nodes share in their store",
    )

    @field_validator("secret")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("has less than 32 characters. Generate one: openssl rand -hex 32")
        return value
