"""Letting backups go: what `backup prune` and a node's own backups do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from intellirouter.cli.plain import amount
from intellirouter.ops.backup import forms
from intellirouter.ops.backup.place import Directory
from intellirouter.ops.backup.repository import prune
from intellirouter.ops.backup.retention import Keep, superfluous
from intellirouter.ops.backup.shelf import holds_packs


def let_go(where: Directory, keep: Keep, say: Callable[[str], None], *, dry_run: bool = False) -> int:
    """Delete what no rule keeps, and the pieces that no snapshot needs then; how many backups went."""
    count = 0
    for file in superfluous(forms.backups(where), datetime.now(UTC), keep):
        if not dry_run:
            file.unlink()
        say(f"{'would delete' if dry_run else 'deleted'} {file}")
        count += 1
    if not dry_run and holds_packs(where):
        with Console(stderr=True).status("looking for what no backup needs") as status:
            before, after = prune(where, lambda name: status.update(escape(name)))
        say(f"packs: {amount(before)} before, {amount(after)} after")
    return count
