"""Python's garbage collector while a node serves: seldom, and over little."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

GC_THRESHOLD = 10_000
"""New objects between two collections of the youngest: a request makes some hundred, nearly all of which die at once."""


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """What start-up built lives as long as the node: collections need not walk it until the node is gone, and then may free it.

    It is not collected first: start-up leaves ten objects to find, and finding them takes a tenth of a second.
    """
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(GC_THRESHOLD, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
