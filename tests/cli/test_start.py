"""A command imports what it needs: what takes long is told by name, since a bound on time would be one on the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SERVERS = """aiohttp chromadb dbos grpc redis psycopg sqlalchemy opentelemetry prometheus_client numpy onnxruntime
    jsonschema cryptography jinja2 pypdf tokenizers uvloop dns""".split()
"""What a node is made of, and no command that asks one."""
CONFIGURATION = [*"tomlkit yaml re2 structlog".split(), "intellirouter.config.schema", "intellirouter.chat"]
"""What reads a configuration."""
ASKED = ("--url", "http://127.0.0.1:1")
PROGRAM = """
import sys
from intellirouter.cli.main import main
try:
    main(sys.argv[2:])
except SystemExit:
    pass
print(*(name for name in sys.argv[1].split() if name in sys.modules), file=sys.__stderr__)
"""


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (("--help",), [*SERVERS, *CONFIGURATION, "rich.console", "http.client"]),
        (("chain", "ls", *ASKED), [*SERVERS, *CONFIGURATION]),
        (("models", "list", *ASKED), [*SERVERS, *CONFIGURATION]),
        (("usage", *ASKED), [*SERVERS, *CONFIGURATION]),
        (("requests", *ASKED), [*SERVERS, *CONFIGURATION]),
        (("models", "list"), SERVERS),
        (("keys", "list"), [name for name in SERVERS if name != "cryptography"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_command_does_not_need_is_not_imported(
    arguments: tuple[str, ...], unneeded: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, " ".join(unneeded), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "data"),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].split() == []
