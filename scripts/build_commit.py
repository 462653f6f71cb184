"""A build hook of hatchling: writes the commit into the wheel and the source archive, where there is no git to ask."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "INTELLIROUTER_COMMIT"
"""Says it where the build has no repository either, as in a container's."""


class CommitHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling finds it by its base
    """See the module."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file. An editable installation reads the checkout each time."""
        if version == "editable":
            return
        root = Path(self.root)
        spec = importlib.util.spec_from_file_location("commit", root / "intellirouter/commit.py")
        if spec is None or spec.loader is None:
            return
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = os.environ.get(VARIABLE) or module.built(root / "intellirouter") or module.checked_out(root)
        if not found:
            return
        folder = Path(tempfile.mkdtemp())
        (folder / module.FILE).write_text(found + "\n", encoding="utf-8")
        build_data["force_include"][str(folder / module.FILE)] = f"intellirouter/{module.FILE}"
