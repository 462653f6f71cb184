"""Which models a key may ask for. Checked where a model is asked (dispatch), so that no way in goes around it.

A key names models as clients do: any name of a model will do, and who may use a group may use whatever the operator put behind it.
"""

from __future__ import annotations

from dataclasses import replace

from intellirouter.errors import ModelNotFound, PermissionDenied
from intellirouter.inference.catalog import Catalog, ModelEntry
from intellirouter.security.caller import Caller


def permitted(
    catalog: Catalog, caller: Caller, name: str, *, granted: tuple[str, ...] = (), param: str = "model"
) -> ModelEntry:
    """The entry of a model that the caller may use. Raises `PermissionDenied`, `ModelNotFound`.

    `granted` are names that the operator's own configuration leads to, whatever the key lists.
    """
    if not caller.models or name in granted:
        return catalog.resolve(name)
    try:
        entry = catalog.resolve(name)
    except ModelNotFound as error:
        if not caller.may_use(name):  # a name that is there and one that is not sound alike
            raise denied(name, param) from error
        raise ModelNotFound(f"The model '{name[:100]}' does not exist.", param=param) from error
    if not caller.may_use(name) and not visible(catalog, caller, entry):
        raise denied(name, param)
    return entry


def visible(catalog: Catalog, caller: Caller, entry: ModelEntry) -> bool:
    """True when the caller's key may use the model by any of its names."""
    if not caller.models or caller.may_use(entry.name, *entry.aliases):
        return True
    if entry.members:
        return any(visible(catalog, caller, member) for member in entry.members)
    bare = entry.name.partition("/")[2]
    known = catalog.known(bare) if bare and caller.may_use(bare) else None
    return known is not None and known.name == entry.name


def narrowed(catalog: Catalog, caller: Caller, entry: ModelEntry) -> ModelEntry:
    """The entry as the caller may be told of it: of a group that nobody configured, only what its key may use."""
    if not caller.models or not entry.members or caller.may_use(entry.name):
        return entry
    members = tuple(member for member in entry.members if visible(catalog, caller, member))
    may = {candidate.id for member in members for candidate in member.candidates}
    candidates = tuple(candidate for candidate in entry.candidates if candidate.id in may)
    return replace(entry, members=members, candidates=candidates)


def denied(name: str, param: str = "model") -> PermissionDenied:
    """The refusal."""
    return PermissionDenied(f"This key may not use the model '{name[:100]}'.", param=param)
