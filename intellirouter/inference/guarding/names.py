"""Under which names a request may be answered: a guard for a model holds however the model is come to."""

from __future__ import annotations

from collections.abc import Iterable

from intellirouter.chat.model import ChatRequest
from intellirouter.errors import ModelNotFound
from intellirouter.inference.catalog import Catalog, ModelEntry


def names_of(catalog: Catalog, request: ChatRequest) -> frozenset[str]:
    """The name asked for, and the names, aliases, members and targets of every model that it may lead to."""
    options = request.options
    waiting = [request.model, *(options.fallbacks if options is not None else ())]
    found: set[str] = set()
    looked: set[str] = set()  # as many as there are in the catalogue, and what the request names
    while waiting:
        name = waiting.pop()
        if name in looked:
            continue
        looked.add(name)
        found.add(name)
        entry = _entry(catalog, name)
        if entry is None:
            continue
        for one in (entry, *entry.members):
            found |= {one.name, *one.aliases}
        found |= {candidate.id for candidate in entry.candidates}
        waiting += (*entry.fallbacks, *entry.content_policy_fallbacks)
        waiting += (name for member in entry.members for name in member.content_policy_fallbacks)
        if entry.group is not None:
            waiting += entry.group.members
    return frozenset(found)


def targets_of(catalog: Catalog, names: Iterable[str]) -> frozenset[str]:
    """The targets (`provider/model`) of the models of these names: what is asked for by its target is asked for."""
    entries = (catalog.known(name) for name in names)
    return frozenset(candidate.id for entry in entries if entry is not None for candidate in entry.candidates)


def _entry(catalog: Catalog, name: str) -> ModelEntry | None:
    try:
        return catalog.resolve(name)
    except ModelNotFound:  # a provider may still list it: dispatch says what becomes of it
        return None
