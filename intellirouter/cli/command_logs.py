"""What is logged while a command runs: from a warning on, to standard error, without a secret. Standard output is the command's own.

A command that never logs does not pay for it: structlog is set up when something imports it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from intellirouter.telemetry.hiding import hide_secrets

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
    """Of structlog alone, which is whole by now: the module that imports it is not yet, whichever it is."""
    structlog: Any = sys.modules[_NAME]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            hide_secrets,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        # looked up anew for each: a command may be one of several in a process
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


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
