"""Settings within what a target takes: lengths, counts, ranges and words."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import ChatRequest, Reasoning
from intellirouter.chat.openai_chat.encode import effort_of
from intellirouter.errors import UnsupportedByTarget

_SEEDS = 1 << 31
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OF_A_PERSON = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|^\+?[\d\s().-]{7,}$")


def fit_settings(request: ChatRequest, takes: Takes, notes: list[str]) -> ChatRequest:
    """The request with settings that the target takes. Raises `UnsupportedByTarget` for several answers where it gives one."""
    changes: dict[str, Any] = {}
    if request.user and takes.user_longest is not None and len(request.user) > takes.user_longest:
        changes["user"] = _digest(request.user)[: takes.user_longest]
        notes.append(f"'user' was sent as its digest: {takes.who} takes {takes.user_longest} characters.")
    if request.user and "user" not in changes and takes.user_nameless and _OF_A_PERSON.search(request.user):
        changes["user"] = _digest(request.user)
        notes.append(f"'user' was sent as its digest: {takes.who} takes no address or number of a person.")
    key, longest = request.prompt_cache_key, takes.cache_key_longest
    if key and longest is not None and len(key) > longest:
        changes["prompt_cache_key"] = _digest(key)[:longest]
    if request.reasoning is not None and takes.efforts is not None:
        _effort(request.reasoning, takes, changes, notes)
    if request.stop:
        _stops(request, takes, changes, notes)
    _counts(request, takes, changes, notes)
    _words(request, takes, changes, notes)
    _ranges(request, takes, changes, notes)
    return request.changed(**changes) if changes else request


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()


def _effort(reasoning: Reasoning, takes: Takes, changes: dict[str, Any], notes: list[str]) -> None:
    """How much to think in a word that the target knows; nothing where it knows none."""
    word = effort_of(reasoning, [])
    known = takes.efforts or ()
    if word is None or word in known:
        return
    if not known:
        changes["reasoning"] = None
        if word != "none":
            notes.append("Reasoning was left out: this model takes no wish how much to think.")
        return
    at = _EFFORTS.index(word) if word in _EFFORTS else len(_EFFORTS)
    alike = [one for one in known if (one == "none") == (word == "none")] or known
    near = min(alike, key=lambda one: abs(_EFFORTS.index(one) - at) if one in _EFFORTS else len(_EFFORTS))
    changes["reasoning"] = msgspec.structs.replace(reasoning, effort=near, budget_tokens=None, mode=None)
    notes.append(f"Reasoning effort '{word}' was sent as '{near}', which this model knows.")


def _stops(request: ChatRequest, takes: Takes, changes: dict[str, Any], notes: list[str]) -> None:
    stops = tuple(stop for stop in request.stop if stop)  # an empty one stops nothing, and many refuse it
    if not takes.blank_stops and any(not stop.strip() for stop in stops):
        stops = tuple(stop for stop in stops if stop.strip())
        notes.append(f"Stop sequences of white space were left out: {takes.who} takes none.")
    if takes.most_stops is not None and len(stops) > takes.most_stops:
        stops = stops[: takes.most_stops]
        notes.append(
            f"Stop sequences after the first {takes.most_stops} were left out: {takes.who} takes no more."
        )
    if stops != request.stop:
        changes["stop"] = stops


def _counts(request: ChatRequest, takes: Takes, changes: dict[str, Any], notes: list[str]) -> None:
    if takes.most_choices is not None and (request.n or 1) > takes.most_choices:
        given = "one answer" if takes.most_choices == 1 else f"{takes.most_choices} answers"
        raise UnsupportedByTarget(
            f"{takes.who} gives {given} a request: n must be {takes.most_choices}.", param="n"
        )
    if request.max_tokens is not None and request.max_tokens < takes.least_tokens:
        changes["max_tokens"] = takes.least_tokens
        notes.append(
            f"A limit of {request.max_tokens} tokens was sent as {takes.least_tokens}, the least {takes.who} takes."
        )
    likely, most = request.top_logprobs, takes.most_logprobs
    if likely is not None and most is not None and likely > most:
        changes["top_logprobs"] = most
        notes.append(f"'top_logprobs' was sent as {most}, the most {takes.who} takes.")
    if request.seed is not None and not 0 <= request.seed < _SEEDS:
        changes["seed"] = request.seed % _SEEDS


def _words(request: ChatRequest, takes: Takes, changes: dict[str, Any], notes: list[str]) -> None:
    if request.verbosity is not None and not takes.wordiness:
        changes["verbosity"] = None
        if request.verbosity != "medium":
            notes.append("'verbosity' was left out: this model has no such setting.")
    tier = request.service_tier
    if tier is not None and takes.tiers is not None and tier not in takes.tiers.values():
        own = takes.tiers.get(tier)
        changes["service_tier"] = own
        if own is None:
            notes.append(f"Service tier '{tier}' was left out: {takes.who} has none such.")


def _ranges(request: ChatRequest, takes: Takes, changes: dict[str, Any], notes: list[str]) -> None:
    for name, (least, most) in takes.ranges.items():
        given = getattr(request, name)
        if given is not None and not least <= given <= most:
            changes[name] = fitting = min(max(given, least), most)
            notes.append(
                f"'{name}' {given:g} was sent as {fitting:g}: {takes.who} takes {least:g} to {most:g}."
            )
    if (
        not takes.greedy_top_p
        and request.top_p is not None
        and changes.get("temperature", request.temperature) == 0
    ):
        changes["top_p"] = None
        if request.top_p != 1:
            notes.append(f"'top_p' was left out: {takes.who} takes none beside a temperature of 0.")
