"""HashiCorp Vault, OpenBao: KV version 1 and 2, and whatever answers a read with fields and a lease.

By their HTTP API (developer.hashicorp.com/vault/api-docs), through hvac. Signs in by a token, an AppRole or a Kubernetes
service account; the token is renewed while it lasts and gained anew after that, and a lease of a secret likewise.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intellirouter.config.env import Environment
from intellirouter.config.schema.sources import VaultSection
from intellirouter.config.sources.reference import Reference, SourceFailed, Value

EARLY = 2 / 3
"""Of a lease's time, after which it is renewed."""


class Vault:
    """One server. Not used by two threads at once."""

    def __init__(self, section: VaultSection, environment: Environment, timeout: float) -> None:
        self._section = section
        self._environment = environment
        self._timeout = timeout
        self._client: Any = None
        self._until = 0.0
        self._renewable = False
        self._versions: dict[str, int] = {}

    def read(self, place: Reference) -> Value:
        """A field of a secret. Raises `SourceFailed`."""
        answer = self._asked(lambda client: self._fetch(client, place.path))
        if not isinstance(answer, dict):
            raise SourceFailed("there is no such secret")
        data = answer.get("data")
        if self._versions[place.path] == 2 and isinstance(data, dict):
            data = data.get("data")
        if not isinstance(data, dict) or not data:
            raise SourceFailed("there is no such secret")
        lease = answer.get("lease_duration") or 0
        renewable = answer.get("lease_id", "") if answer.get("renewable") else ""
        return Value(field_of(data, place.field), lease * EARLY if lease else None, renewable)

    def renew(self, value: Value) -> Value | None:
        """The same value for longer; None where it must be read anew. Raises `SourceFailed`."""
        if not value.lease:
            return None
        try:
            answer = self._asked(lambda client: _json(client.sys.renew_lease(lease_id=value.lease)))
        except SourceFailed:
            return None
        lease = answer.get("lease_duration") if isinstance(answer, dict) else 0
        return Value(value.text, lease * EARLY, value.lease) if lease else None

    def _fetch(self, client: Any, path: str) -> Any:
        if path not in self._versions:
            self._versions[path] = self._version(client, path)
        if self._versions[path] == 2:
            mount, _, rest = path.partition("/")
            path = f"{mount}/data/{rest}"
        return client.read(path)

    def _version(self, client: Any, path: str) -> int:
        """As the command line of Vault finds it out; a token may not ask, then as the configuration says."""
        try:
            answer = _json(client.adapter.get(f"/v1/sys/internal/ui/mounts/{path}"))
            options = answer["data"].get("options") or {}
            return 2 if str(options.get("version", "1")) == "2" and answer["data"].get("type") == "kv" else 1
        except self._errors().VaultError:
            return self._section.kv_version
        except (KeyError, TypeError, AttributeError):
            return self._section.kv_version

    def _asked(self, act: Callable[[Any], Any]) -> Any:
        """What the server says, signed in; once more with a new token where the one it has is refused. Raises `SourceFailed`."""
        errors = self._errors()
        for last in (False, True):
            try:
                return act(self._signed_in())
            except errors.Forbidden as error:
                if last or self._section.signs_in_by == "token":
                    raise SourceFailed("Vault refuses it: the token may not read that") from error
                self._client = None
            except errors.InvalidPath as error:
                raise SourceFailed("there is no such secret") from error
            except errors.VaultError as error:
                raise SourceFailed(f"Vault answers with an error ({type(error).__name__})") from error
            except OSError as error:  # of requests, all of them
                raise SourceFailed(f"Vault does not answer at {self._address()}") from error
        raise SourceFailed("Vault refuses it")

    def _signed_in(self) -> Any:
        now = time.monotonic()
        if self._client is not None and now < self._until:
            return self._client
        if self._client is not None and self._renewable:
            try:
                self._keep(_json(self._client.auth.token.renew_self())["auth"], now)
            except (self._errors().VaultError, KeyError, TypeError):
                self._client = None
            else:
                return self._client
        section = self._section
        client = _hvac().Client(
            url=self._address(),
            namespace=section.namespace or self._environment.get("VAULT_NAMESPACE"),
            verify=str(section.ca_file) if section.ca_file is not None else True,
            timeout=self._timeout,
            token="",
            allow_redirects=False,
        )
        if section.signs_in_by == "token":
            client.token = section.token_text() or self._environment.get("VAULT_TOKEN") or ""
            if not client.token:
                raise SourceFailed("there is no token for Vault: [secrets.vault] token, or VAULT_TOKEN")
            self._client, self._until, self._renewable = client, float("inf"), False
            self._look_up(client, now)
            return client
        if section.signs_in_by == "approle":
            secret = section.secret_id.get_secret_value() if section.secret_id is not None else None
            answer = client.auth.approle.login(
                section.role_id, secret, mount_point=section.auth_mount or "approle"
            )
        else:
            try:
                jwt = Path(section.kubernetes_token_file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SourceFailed(
                    f"the service account's token cannot be read ({error.strerror})"
                ) from error
            answer = client.auth.kubernetes.login(
                section.kubernetes_role, jwt, mount_point=section.auth_mount or "kubernetes"
            )
        client.token = answer["auth"]["client_token"]
        self._client = client
        self._keep(answer["auth"], now)
        return client

    def _look_up(self, client: Any, now: float) -> None:
        """Until when the given token lasts, where it may ask."""
        try:
            facts = _json(client.auth.token.lookup_self())["data"]
            if facts.get("ttl"):
                self._until = now + facts["ttl"] * EARLY
                self._renewable = bool(facts.get("renewable"))
        except (self._errors().VaultError, KeyError, TypeError):
            return

    def _keep(self, auth: dict[str, Any], now: float) -> None:
        lease = auth.get("lease_duration") or 0
        self._until = now + lease * EARLY if lease else float("inf")
        self._renewable = bool(auth.get("renewable"))

    def _address(self) -> str:
        address = self._section.address or self._environment.get("VAULT_ADDR")
        if not address:
            raise SourceFailed("nothing says where Vault is: [secrets.vault] address, or VAULT_ADDR")
        return address

    def _errors(self) -> Any:
        return _hvac().exceptions


def _json(answer: Any) -> Any:
    """hvac gives some answers as they came, others decoded."""
    return answer.json() if hasattr(answer, "json") else answer


def _hvac() -> Any:
    try:
        return importlib.import_module("hvac")
    except ImportError as error:
        raise SourceFailed('needs hvac: pip install "intellirouter[vault]"') from error


def field_of(data: dict[str, Any], field: str) -> str:
    """A field as text; without a name the only one there is. Raises `SourceFailed`."""
    if not field:
        if len(data) != 1:
            raise SourceFailed(f"has {len(data)} fields: say which, as #field")
        field = next(iter(data))
    value = data.get(field)
    if value is None:
        raise SourceFailed(f"has no field '{field}'")
    return value if isinstance(value, str) else str(value)
