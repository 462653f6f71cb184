"""`intellirouter chain`: check, draw and run chains on this machine, and speak with a ChainEngine that serves them."""

from __future__ import annotations

import typer

from intellirouter.cli.parts import parts

app = typer.Typer(
    cls=parts(
        {
            "intellirouter.cli.chain_definition": ("validate", "schema", "show"),
            "intellirouter.cli.chain_new": ("new",),
            "intellirouter.cli.chain_run": ("run", "test"),
            "intellirouter.cli.chain_server": (
                "put",
                "start",
                "ls",
                "status",
                "logs",
                "signal",
                "cancel",
                "resume",
                "fork",
                "nodes",
                "queue",
                "schedule",
                "schedules",
            ),
            "intellirouter.cli.chain_versions": ("versions", "diff", "rollback", "rollout"),
            "intellirouter.cli.chain_drawing": ("draw",),
            "intellirouter.cli.chain_triggers": ("trigger", "triggers"),
            "intellirouter.cli.chain_approvals": ("approvals", "link"),
            "intellirouter.cli.chain_hooks": ("hooks",),
            "intellirouter.cli.chain_edge": ("edge",),
        }
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """Check, draw and run chains on this machine, and speak with a ChainEngine."""
