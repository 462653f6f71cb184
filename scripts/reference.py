"""Write what the schema of the configuration and the commands say of themselves: references, schema, manual page."""

from __future__ import annotations

import json
from pathlib import Path

from intellirouter import __version__
from intellirouter.cli import reference as commands
from intellirouter.cli.main import COMMANDS, build
from intellirouter.config.reference import json_schema, markdown
from intellirouter.security import permissions

CONFIG = Path(__file__).parents[1] / "config"
MANUAL = CONFIG.parent / "packaging/man/intellirouter.1"


def _commands() -> list[commands.Page]:
    return [*commands.pages(build, list(COMMANDS))]


FILES = {
    CONFIG / "REFERENCE.md": markdown,
    CONFIG / "PERMISSIONS.md": permissions.markdown,
    CONFIG / "COMMANDS.md": lambda: commands.markdown(_commands()),
    MANUAL: lambda: commands.manual(_commands(), __version__),
    CONFIG / "schema.json": lambda: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
}


def main() -> None:
    for file, make in FILES.items():
        file.write_text(make(), encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
