"""The command line: a table of commands, each imported when it is called.

`intellirouter --help` must not pay for aiohttp, pydantic or chromadb, so a command's module is imported only when
that command is called; its one-line help stands in the table. An error of ours becomes a message and an exit code
here and nowhere else.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import typer

from intellirouter import __version__
from intellirouter.cli.command_logs import quiet
from intellirouter.cli.emptiness import refuse_empty
from intellirouter.cli.failing import told
from intellirouter.cli.synonyms import understood
from intellirouter.commit import commit
from intellirouter.config import env

_SELDOM = 50_000
"""New objects between two collections while a command starts: what it imports stays, and walking that again and again would be a fifth of its time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: its module holds a function `command`, or a Typer `app` when it is a group of commands."""

    module: str
    summary: str
    group: bool = False


COMMANDS: dict[str, Entry] = {
    "run": Entry("intellirouter.cli.run", "Start a role, or all of them, in this process."),
    "init": Entry("intellirouter.cli.init", "Write a configuration from a few questions."),
    "status": Entry("intellirouter.cli.status", "What runs here, its health, and the last backup."),
    "validate-config": Entry(
        "intellirouter.cli.validate_config", "Check the configuration without starting."
    ),
    "config": Entry(
        "intellirouter.cli.config", "What a configuration may say, and what is set at run time.", group=True
    ),
    "diagnose": Entry("intellirouter.cli.diagnose", "Look at this node and say what to do."),
    "db": Entry("intellirouter.cli.db", "Make, migrate and check the database of the runs.", group=True),
    "chain": Entry("intellirouter.cli.chain", "Check, draw and run chains on this machine.", group=True),
    "models": Entry("intellirouter.cli.models", "List, test, add, remove and drain models.", group=True),
    "route": Entry(
        "intellirouter.cli.route", "Why a request goes where it goes, and how well that does.", group=True
    ),
    "learn": Entry("intellirouter.cli.learn", "Bring in, take out and forget what was learnt.", group=True),
    "features": Entry(
        "intellirouter.cli.features", "Switch features on and off, on all nodes at once.", group=True
    ),
    "guard": Entry("intellirouter.cli.guard", "Look at guards, and at what they make of a text.", group=True),
    "rag": Entry("intellirouter.cli.rag", "Documents: ingest, search, verify, rebuild.", group=True),
    "cache": Entry("intellirouter.cli.cache", "Warm, look at and clear the response cache.", group=True),
    "alerts": Entry(
        "intellirouter.cli.alerts",
        "What is amiss; silence it, take it on, try channels.",
        group=True,
    ),
    "keys": Entry("intellirouter.cli.keys", "Make, list, rotate and revoke API keys.", group=True),
    "audit": Entry(
        "intellirouter.cli.audit", "Who did what: verify, search and export the records.", group=True
    ),
    "users": Entry(
        "intellirouter.cli.users", "Make, list, change and block users and service accounts.", group=True
    ),
    "teams": Entry("intellirouter.cli.teams", "Make, list, change and delete teams.", group=True),
    "roles": Entry("intellirouter.cli.roles", "Which roles there are, and what they let."),
    "login": Entry("intellirouter.cli.login", "Sign in to a Router; other commands use it then."),
    "logout": Entry("intellirouter.cli.logout", "Sign out of a Router."),
    "whoami": Entry("intellirouter.cli.whoami", "Who a Router takes you for, and what you may."),
    "requests": Entry("intellirouter.cli.requests", "Look at the requests a Router answered; --follow them."),
    "usage": Entry("intellirouter.cli.usage", "Requests, tokens and cost by model, key, team, user or day."),
    "report": Entry("intellirouter.cli.report", "How a Router did: success, times, models, cost, cache."),
    "backup": Entry("intellirouter.cli.backup", "Back up this node; list and verify backups.", group=True),
    "console": Entry("intellirouter.cli.console", "Print a link that signs you in to the web console."),
    "restore": Entry("intellirouter.cli.restore", "Put a backup back into a stopped node."),
    "drain": Entry("intellirouter.cli.drain", "Make a running Router not ready before a planned stop."),
    "reload": Entry("intellirouter.cli.reload", "Have a running node take its configuration anew."),
    "loadtest": Entry("intellirouter.cli.loadtest", "How many requests a second a node takes."),
    "completion": Entry("intellirouter.cli.completion", "Print the completion of a shell."),
    "persona": Entry(
        "intellirouter.cli.persona", "List, show, render, import and edit personas.", group=True
    ),
}


def _version(value: bool) -> None:
    if value:
        of = f" ({known})" if (known := commit()) else ""
        typer.echo(f"intellirouter {__version__}{of}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and the commit."
    ),
) -> None:
    """IntelliRouter: a self-hosted LLM platform in one command."""


def _listed_only() -> None:
    """Stands for a command that is listed but not called."""


def build(called: str | None) -> typer.Typer:
    """The command tree with only `called` imported."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    for name, entry in COMMANDS.items():
        if name != called:
            app.command(name, help=entry.summary)(_listed_only)
        elif entry.group:
            app.add_typer(importlib.import_module(entry.module).app, name=name, help=entry.summary)
        else:
            app.command(name, help=entry.summary)(importlib.import_module(entry.module).command)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    if argv is None:
        gc.set_threshold(_SELDOM, 10, 100)
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.umask(0o077)  # what a command writes is its user's alone: documents, conversations and keys are in it
    called = next((word for word in arguments if not word.startswith("-")), None)
    try:
        if argv is None and env.completing():
            importlib.import_module("intellirouter.cli.completing").answer(build)
            return
        with nullcontext() if called == "run" else quiet():  # a node sets up its own log
            arguments = understood(arguments, build)
            refuse_empty(arguments, build)
            build(called)(args=arguments, prog_name="intellirouter")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the end of every command
        sys.exit(told(error, called))
    finally:
        if argv is None:
            gc.freeze()  # Python would search everything for cycles before it ends, which takes a quarter of a second
