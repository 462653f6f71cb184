"""Write what the schema of the configuration says of itself: config/REFERENCE.md and config/schema.json."""

from __future__ import annotations

import json
from pathlib import Path

from intellirouter.config.reference import json_schema, markdown
from intellirouter.security import permissions

CONFIG = Path(__file__).parents[1] / "config"
FILES = {
    CONFIG / "REFERENCE.md": markdown,
    CONFIG / "PERMISSIONS.md": permissions.markdown,
    CONFIG / "schema.json": lambda: json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n",
}


def main() -> None:
    for file, make in FILES.items():
        file.write_text(make(), encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
