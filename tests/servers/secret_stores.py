"""Vault and AWS for the tests: neither can be had here, so these follow the documents of their HTTP APIs.

Vault: developer.hashicorp.com/vault/api-docs (secret/kv/kv-v1, kv-v2, auth/approle, auth/kubernetes, auth/token, system/leases,
and `sys/internal/ui/mounts`). AWS: the JSON protocol 1.1 of Secrets Manager and Systems Manager, and Signature Version 4, which is
worked out here by its document and compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Answers on a free loopback port, in threads. `down` makes it answer 503; `asked` are the paths."""

    def __init__(self) -> None:
        self.down = False
        self.asked: list[str] = []

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.asked.append(f"{self.command} {self.path}")
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = (
                    (503, {"errors": ["sealed"]})
                    if outer.down
                    else outer.answer(self.command, self.path, headers, body)
                )
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_LIST = handle_any

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class VaultServer(Server):
    """Mounts `kv1` (version 1), `secret` (version 2) and `database`, whose secrets have a lease."""

    def __init__(self) -> None:
        super().__init__()
        self.v1: dict[str, dict[str, str]] = {}
        self.v2: dict[str, dict[str, str]] = {}
        self.tokens = {"root-token"}
        self.tells_mounts = True
        self.lease = 3600
        self.made = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        given = json.loads(body) if body else {}
        if path == "/v1/auth/approle/login":
            if (given.get("role_id"), given.get("secret_id")) != ("role", "planted-secret-id"):
                return 400, {"errors": ["invalid role or secret ID"]}
            return 200, self._token()
        if path == "/v1/auth/kubernetes/login":
            if (given.get("role"), given.get("jwt")) != ("router", "planted-account-token"):
                return 403, {"errors": ["permission denied"]}
            return 200, self._token()
        if headers.get("x-vault-token") not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("/v1/sys/internal/ui/mounts/"):
            mount = path.removeprefix("/v1/sys/internal/ui/mounts/").partition("/")[0]
            if not self.tells_mounts:
                return 403, {"errors": ["permission denied"]}
            kinds = {"kv1": ("kv", "1"), "secret": ("kv", "2"), "database": ("database", None)}
            kind, version = kinds[mount]
            return 200, {
                "data": {"path": f"{mount}/", "type": kind, "options": version and {"version": version}}
            }
        if path == "/v1/auth/token/lookup-self":
            return 200, {"data": {"ttl": 0, "renewable": False}}
        if path == "/v1/sys/leases/renew":
            return 200, {"lease_id": given["lease_id"], "renewable": True, "lease_duration": self.lease}
        return self._secret(path.removeprefix("/v1/"))

    def _secret(self, path: str) -> tuple[int, Any]:
        mount, _, rest = path.partition("/")
        if mount == "kv1" and rest in self.v1:
            return 200, {"lease_id": "", "renewable": False, "lease_duration": 0, "data": self.v1[rest]}
        if mount == "secret" and rest.startswith("data/") and rest[5:] in self.v2:
            data = {"data": self.v2[rest[5:]], "metadata": {"version": 1}}
            return 200, {"lease_id": "", "renewable": False, "lease_duration": 0, "data": data}
        if mount == "database":
            self.made += 1
            data = {"username": "u", "password": f"planted-password-{self.made}"}
            return 200, {
                "lease_id": f"database/creds/x/{self.made}",
                "renewable": True,
                "lease_duration": self.lease,
                "data": data,
            }
        return 404, {"errors": []}

    def _token(self) -> dict[str, Any]:
        token = f"s.token-{len(self.tokens)}"
        self.tokens.add(token)
        return {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}


class AwsServer(Server):
    """Secrets Manager and Systems Manager of one account."""

    KEY_ID, SECRET, REGION = "AKIDEXAMPLE", "planted-aws-secret-key", "eu-central-1"

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, str] = {}
        self.parameters: dict[str, str] = {}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if not self._signed(method, path, headers, body):
            return 403, {
                "__type": "InvalidSignatureException",
                "message": "The request signature does not match.",
            }
        given = json.loads(body)
        target = headers.get("x-amz-target")
        if target == "secretsmanager.GetSecretValue" and given["SecretId"] in self.secrets:
            return 200, {"Name": given["SecretId"], "SecretString": self.secrets[given["SecretId"]]}
        if (
            target == "AmazonSSM.GetParameter"
            and given["Name"] in self.parameters
            and given["WithDecryption"]
        ):
            return 200, {"Parameter": {"Name": given["Name"], "Value": self.parameters[given["Name"]]}}
        return 400, {"__type": "ResourceNotFoundException", "message": "there is none"}

    def _signed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
        """By docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html."""
        kind, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        key_id, day, region, service, end = parts.get("Credential", "////").split("/")
        if (kind, key_id, region, end) != ("AWS4-HMAC-SHA256", self.KEY_ID, self.REGION, "aws4_request"):
            return False
        names = parts["SignedHeaders"].split(";")
        canonical = "\n".join(
            [
                method,
                path,
                "",
                *(f"{name}:{headers[name].strip()}" for name in names),
                "",
                ";".join(names),
                hashlib.sha256(body).hexdigest(),
            ]
        )
        scope = f"{day}/{region}/{service}/aws4_request"
        text = "\n".join(
            ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
        )
        key = f"AWS4{self.SECRET}".encode()
        for word in (day, region, service, "aws4_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(
            parts["Signature"], hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        )
