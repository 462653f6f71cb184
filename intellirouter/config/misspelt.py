"""Variables of the environment that were most likely meant for us and are not read.

The environment is everybody's (Kubernetes puts `INTELLIROUTER_SERVICE_HOST` there for a service of that name), so these
are warnings, and only for what is close to a name we do read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator

from intellirouter.config.checking import keys_at
from intellirouter.config.env import KEY_VARIABLES, OLLAMA_HOST, PREFIX, Environment
from intellirouter.config.problem import Problem
from intellirouter.config.schema.settings import Settings

_CLOSE = 0.86
_PREFIX = re.compile(r"^([A-Z]+)__+[A-Z]")
_VENDOR_KEY = re.compile(r"^([A-Z]+)_?(?:API)?_?(?:KEY|TOKEN|SECRET)S?$")


def warnings(environment: Environment, referred: Collection[str]) -> Iterator[Problem]:
    """One for each suspect; `referred` are the variables that the configuration itself names."""
    for variable in sorted(environment):
        if variable in referred or variable.startswith(PREFIX):
            continue
        if variable.upper().startswith(PREFIX):
            yield Problem(
                f"{variable} in the environment",
                "",
                "is not read: capitals count.",
                f"Write {variable.upper()}.",
            )
            continue
        if meant := _setting(variable) or _vendor_key(variable, environment):
            yield Problem(f"{variable} in the environment", "", "is not read.", f"Did you mean {meant}?")


def _setting(variable: str) -> str | None:
    """The `INTELLIROUTER__…` that a variable resembles."""
    prefix = _PREFIX.match(variable)
    if prefix and _alike(prefix.group(1), "INTELLIROUTER"):
        return PREFIX + variable[prefix.end() - 1 :]
    head, _, rest = variable.partition("_")
    if not rest or not _alike(head, "INTELLIROUTER"):
        return None
    plain = rest.replace("__", "_").lower()
    for section in Settings.model_fields:
        for key in keys_at((section,)):
            if plain == f"{section}_{key}":
                return f"{PREFIX}{section}__{key}".upper()
    return None


def _vendor_key(variable: str, environment: Environment) -> str | None:
    """The vendor's variable that one resembles, unless that one is set."""
    names = [name for name, _ in KEY_VARIABLES]
    if variable in names or variable == OLLAMA_HOST:
        return None
    meant = None
    if found := _VENDOR_KEY.match(variable):
        meant = next((name for name in names if name.split("_")[0] == found.group(1)), None)
    if meant is None:
        close = difflib.get_close_matches(variable, [*names, OLLAMA_HOST], n=1, cutoff=_CLOSE)
        meant = close[0] if close and abs(len(variable) - len(close[0])) <= 2 else None
    return meant if meant is not None and not environment.get(meant) else None


def _alike(word: str, name: str) -> bool:
    return difflib.SequenceMatcher(None, word, name).ratio() >= _CLOSE
