"""AWS Secrets Manager (`GetSecretValue`) and the parameters of Systems Manager (`GetParameter`), through botocore.

It signs (Signature Version 4) with what AWS' own order finds: variables, profile, web identity, the instance's role.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

from intellirouter.config.schema.sources import AwsSection
from intellirouter.config.sources.reference import Reference, SourceFailed, Value
from intellirouter.config.sources.vault import field_of


class Aws:
    """The services of one region. Not used by two threads at once."""

    def __init__(self, section: AwsSection, timeout: float, refresh: float) -> None:
        self._section = section
        self._timeout = timeout
        self._refresh = refresh
        self._clients: dict[str, Any] = {}

    def read(self, place: Reference) -> Value:
        """A secret or a parameter, or a field of one that is JSON. Raises `SourceFailed`."""
        exceptions = _botocore("exceptions")
        try:
            if place.scheme == "aws-sm":
                answer = self._client("secretsmanager").get_secret_value(SecretId=place.path)
                text = answer.get("SecretString")
                if text is None:
                    raise SourceFailed("is binary, not text")
            else:
                answer = self._client("ssm").get_parameter(Name=place.path, WithDecryption=True)
                text = answer["Parameter"]["Value"]
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "an error"))
            raise SourceFailed(f"AWS answers {code[:60]}") from error
        except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
            raise SourceFailed(
                "there are no credentials for AWS: [secrets.aws], AWS_ACCESS_KEY_ID or a role"
            ) from error
        except exceptions.NoRegionError as error:
            raise SourceFailed("nothing says which region: [secrets.aws] region, or AWS_REGION") from error
        except (exceptions.BotoCoreError, OSError) as error:
            raise SourceFailed(f"AWS does not answer ({type(error).__name__})") from error
        if place.field:
            try:
                data = json.loads(text)
            except ValueError as error:
                raise SourceFailed("is not JSON, so that it has no fields") from error
            if not isinstance(data, dict):
                raise SourceFailed("is no JSON object, so that it has no fields")
            text = field_of(data, place.field)
        return Value(str(text), self._refresh)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            section = self._section
            session = _botocore("session").get_session()
            if section.profile:
                session.set_config_variable("profile", section.profile)
            secret = section.secret_access_key
            self._clients[service] = session.create_client(
                service,
                region_name=section.region,
                endpoint_url=section.endpoint,
                aws_access_key_id=section.access_key_id,
                aws_secret_access_key=secret.get_secret_value() if secret is not None else None,
                config=_botocore("config").Config(
                    connect_timeout=self._timeout,
                    read_timeout=self._timeout,
                    retries={"total_max_attempts": 2},
                ),
            )
        return self._clients[service]


def _botocore(module: str) -> Any:
    try:
        return importlib.import_module(f"botocore.{module}")
    except ImportError as error:
        raise SourceFailed('needs botocore: pip install "intellirouter[aws]"') from error
