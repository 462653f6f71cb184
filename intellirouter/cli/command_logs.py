"""What is logged while a command runs: from a warning on, to standard error, without a secret. Standard output is the command's own.

A command that never logs does not pay for it: structlog is set up when something imports it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_NAME = "structlog"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log so while the block runs; afterwards as before."""
    if _NAME in sys.modules:
        before: dict[str, Any] = sys.modules[_NAME].get_config()
        _set_up()
        try:
            yield
        finally:
            sys.modules[_NAME].configure(**before)
        return
    waiting = _Waiting()
    sys.meta_path.insert(0, waiting)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # it took itself away when it was asked
            sys.meta_path.remove(waiting)
        if _NAME in sys.modules:
            sys.modules[_NAME].reset_defaults()


def _set_up() -> None:
    importlib.import_module("intellirouter.telemetry.logs").configure_for_command()


class _Waiting(MetaPathFinder):
    """Sees structlog be imported, once."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """That of structlog, with ours behind its loader; of everything else nothing."""
        if fullname != _NAME:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads it as its own loader does, and sets it up."""

    def __init__(self, own: Loader) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `Loader.create_module`."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """See `Loader.exec_module`."""
        self._own.exec_module(module)
        _set_up()
