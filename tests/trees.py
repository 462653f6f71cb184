"""Syntax trees of the package's files."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def tree_of(file: Path) -> ast.Module:
    """The tree of one file. Nothing is collected meanwhile: a finalizer that runs within the parser makes Python 3.11 lose count."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    finally:
        if collects:
            gc.enable()
