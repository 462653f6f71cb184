"""The catalogue: which names a client may ask for, and which targets serve each.

A name is looked up as: a configured model or alias; `provider/model`; a model some provider listed; `auto`. Pure and
in memory: discovery feeds it, routing reads it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from intellirouter.bounds.nearest import nearest
from intellirouter.config.schema.model_registry import ModelRegistrySection, ModelSection, Price
from intellirouter.errors import ModelNotFound
from intellirouter.inference.auto import AUTO, LEANINGS, auto_entry, members_of
from intellirouter.inference.catalog_entries import Candidate, Group, ModelEntry
from intellirouter.inference.cost import Rates, rates_of
from intellirouter.inference.provider import Provider, deadlines_of
from intellirouter.inference.published import ModelFacts, PublishedFacts
from intellirouter.providers.adapter import ModelInfo

__all__ = ["AUTO", "Candidate", "Catalog", "ModelEntry"]
_SHOWN_NAME = 100
_MOST_TOLD = 5


class Catalog:
    """Names to entries. `offline` serves `auto` when no provider is configured.

    What the configuration and a provider's list do not say of a model is taken from what its vendor publishes.
    """

    def __init__(
        self, section: ModelRegistrySection, providers: Iterable[Provider], offline: Provider
    ) -> None:
        self._offline = offline
        self._facts = PublishedFacts()
        self._told: dict[str, Price] = {}
        """Prices of targets that the operator says somewhere: they hold wherever nobody says another."""
        self._discovered: dict[str, tuple[ModelInfo, ...]] = {}
        self.failing: dict[str, str] = {}
        """Providers that do not list their models, and why."""
        self.configure(section, providers)

    def configure(self, section: ModelRegistrySection, providers: Iterable[Provider]) -> None:
        """Take a configuration in place of the last one; lists of providers that stay are kept."""
        self.providers = {provider.name: provider for provider in providers}
        self._default = section.default_model
        self._facts = PublishedFacts(section.facts_file)
        self._told = _told(section)
        self._configured: dict[str, ModelEntry] = {}
        self._names: dict[str, ModelEntry] = {}
        self._listed: dict[str, ModelEntry] = {}
        self._rates: dict[str, tuple[Rates, ...]] = {}  # of known names, as they were asked for
        self._autos: dict[str, ModelEntry] = {}
        for model in section.models:
            entry = self._configure(model)
            self._configured[model.name] = entry
            self._names.update(dict.fromkeys((model.name, *model.aliases), entry))
        self.groups = frozenset(name for name, entry in self._names.items() if entry.group is not None)
        """Names of models that are several."""
        self.policy_fallbacks = tuple(
            entry for entry in self._configured.values() if entry.content_policy_fallbacks
        )
        """Models that say who is asked where a content policy refused."""
        self.bound = frozenset(name for name, entry in self._names.items() if entry.persona or entry.rag)
        kept = {name: models for name, models in self._discovered.items() if name in self.providers}
        self._discovered = kept
        failing = {name: why for name, why in self.failing.items() if name in self.providers}
        for provider in self.providers.values():
            listed = tuple(ModelInfo(name) for name in provider.models)
            self.discovered(provider.name, listed or kept.get(provider.name, ()))
        self.failing = failing

    @property
    def offline_only(self) -> bool:
        """True when no real provider is configured, or only one nobody asked for that is not there."""
        return all(
            provider.optional and not self._discovered.get(name) for name, provider in self.providers.items()
        )

    def discovered(self, provider: str, models: tuple[ModelInfo, ...]) -> None:
        """Take a provider's list of models in place of its last one."""
        self._discovered[provider] = models
        self.failing.pop(provider, None)
        listed: dict[str, ModelEntry] = {}
        for name, infos in self._discovered.items():
            for info in infos:
                entry = self._entry(self.providers[name], info)
                listed[entry.name] = entry
                listed.setdefault(info.id, entry)
        self._listed = listed
        self._rates, self._autos = {}, {}

    def found(self) -> Iterator[tuple[str, int | None]]:
        """Each provider that is there, with how many models it lists; None for one that did not say."""
        for name, provider in self.providers.items():
            count = len(self._discovered.get(name, ()))
            if count or not provider.optional:
                yield name, count or None

    def discovery_failed(self, provider: str, why: str) -> None:
        """A provider did not list its models; its last list stays."""
        self.failing[provider] = why

    def silent(self) -> dict[str, str]:
        """Why providers that somebody set list no models, where that is so."""
        return {name: why for name, why in self.failing.items() if not self.providers[name].optional}

    def named(self, name: str) -> ModelEntry | None:
        """The entry of a configured model, by any of its names."""
        return self._names.get(name)

    def known(self, name: str) -> ModelEntry | None:
        """The entry of a name that does not depend on what providers may still list."""
        return self._names.get(name) or self._listed.get(name)

    def rates(self, name: str) -> tuple[Rates, ...]:
        """What its candidates take; of a name that is not `known`, nor `auto` in one of its ways, and where no price is, nothing."""
        rates = self._rates.get(name)
        if rates is None:
            entry = self.known(name)
            if entry is None and name in LEANINGS:
                with contextlib.suppress(ModelNotFound):  # nobody is there whom it could mean
                    entry = self._auto(name)
            if entry is None:
                return ()
            rates = self._rates[name] = rates_of(one.price for one in entry.candidates)
        return rates

    def resolve(self, name: str) -> ModelEntry:
        """The entry a client's `model` means. Raises `ModelNotFound` with the nearest names."""
        entry = self.known(name)
        if entry is not None:
            return entry
        provider_name, slash, model = name.partition("/")
        provider = self.providers.get(provider_name)
        if slash and model and provider is not None:
            return self._entry(provider, ModelInfo(model))
        if name == self._offline.name or name.startswith(f"{self._offline.name}/"):
            return self._entry(self._offline, ModelInfo("offline"))
        if name in LEANINGS:
            return self._auto(name)
        if self.offline_only and not self._configured:
            return self._entry(self._offline, ModelInfo("offline"))
        raise self._unknown(name)

    def _auto(self, name: str) -> ModelEntry:
        first = self._first()
        if first is None or (name == AUTO and self._default and self._default != AUTO):
            if first is None:
                raise self._unknown(name)
            return first
        found = self._autos.get(name)
        if found is None:
            members = members_of(self._configured.values(), self._listed.values())
            several = len({c.id for member in members for c in member.candidates}) > 1
            found = self._autos[name] = auto_entry(name, members, first) if several else first
        return found

    def _first(self) -> ModelEntry | None:
        """The model that `auto` means where nothing is decided."""
        if self._default and self._default != AUTO:
            return self.resolve(self._default)
        for entry in (*self._configured.values(), *self._listed.values()):
            if entry.candidates and "embedding" not in entry.capabilities:
                return entry
        return self._entry(self._offline, ModelInfo("offline")) if self.offline_only else None

    def entries(self) -> Iterator[ModelEntry]:
        """What `/v1/models` lists: configured models first, then what providers list under `provider/model`."""
        yield from self._configured.values()
        yield from (entry for name, entry in self._listed.items() if name == entry.name)
        if self.offline_only:
            yield self._entry(self._offline, ModelInfo("offline"))
        for name in LEANINGS:
            if name not in self._names and self._first() is not None:
                entry = self._auto(name)
                if entry.members:
                    yield entry

    def _unknown(self, name: str) -> ModelNotFound:
        shown = name if len(name) <= _SHOWN_NAME else name[:_SHOWN_NAME] + "…"
        known = [*self._names, *self._listed]
        close = nearest(name[:_SHOWN_NAME], known, count=3, cutoff=0.5)
        if close:
            advice = f"Nearest: {', '.join(close)}."
        else:
            silent = "; ".join(f"{name}: {why}" for name, why in [*self.silent().items()][:_MOST_TOLD])
            advice = (
                "GET /v1/models lists what there is." if known else "No provider has listed any model yet"
            )
            advice += "" if known else f" ({silent})." if silent else "."
        return ModelNotFound(f"The model '{shown}' does not exist. {advice}", param="model", nearest=close)

    def _entry(self, provider: Provider, info: ModelInfo) -> ModelEntry:
        name = f"{provider.name}/{info.id}"
        facts = self._facts.of(provider, info.id)
        price = facts.price or self._told.get(name)
        candidate = Candidate(
            id=name,
            provider=provider,
            target=provider.target(info.id),
            deadlines=provider.deadlines,
            price=price,
            context_window=info.context_window,
            max_output_tokens=info.max_output_tokens or facts.max_output_tokens,
            max_concurrency=provider.max_concurrency,
            capabilities=info.capabilities or facts.capabilities,
        )
        return ModelEntry(
            name=name,
            candidates=(candidate,),
            price=price,
            context_window=info.context_window or facts.context_window,
            max_output_tokens=info.max_output_tokens or facts.max_output_tokens,
            capabilities=info.capabilities or facts.capabilities,
            created=info.created,
            owner=provider.name,
            retires=facts.retires,
        )

    def _configure(self, model: ModelSection) -> ModelEntry:
        candidates = []
        known: list[ModelFacts] = []
        several = len(model.targets) > 1
        for section in model.targets:
            provider_name, _, upstream = section.target.partition("/")
            provider = self.providers.get(provider_name, self._offline)
            facts = self._facts.of(provider, upstream)
            known.append(facts)
            # A lone target is asked whatever the length: its vendor knows best, and there is no other to ask.
            window = model.context_window or (facts.context_window if several else None)
            candidates.append(
                Candidate(
                    id=section.target,
                    provider=provider,
                    target=provider.target(upstream),
                    deadlines=deadlines_of(model.timeouts) if model.timeouts else provider.deadlines,
                    weight=section.weight,
                    tags=frozenset(section.tags),
                    price=model.price or facts.price or self._told.get(section.target),
                    context_window=window,
                    max_output_tokens=model.max_output_tokens or facts.max_output_tokens,
                    max_concurrency=section.max_concurrency or provider.max_concurrency,
                    capabilities=frozenset(model.capabilities) or facts.capabilities,
                )
            )
        return ModelEntry(
            name=model.name,
            candidates=tuple(candidates),
            strategy=model.strategy or ("learned" if model.learning is not None else None),
            learning=model.learning,
            fallbacks=model.fallbacks,
            content_policy_fallbacks=model.content_policy_fallbacks,
            aliases=model.aliases,
            price=model.price or (candidates[0].price if candidates else None),
            context_window=model.context_window or _least(facts.context_window for facts in known),
            max_output_tokens=model.max_output_tokens or _least(facts.max_output_tokens for facts in known),
            capabilities=frozenset(model.capabilities)
            or (frozenset.intersection(*(facts.capabilities for facts in known)) if known else frozenset()),
            defaults=model.defaults,
            persona=model.persona,
            rag=model.rag,
            group=_group(model),
        )


def _told(section: ModelRegistrySection) -> dict[str, Price]:
    """By target; what a model of that target alone costs goes before what one of several says of all of them."""
    priced = sorted((model for model in section.models if model.price is not None), key=_several)
    told: dict[str, Price] = {}
    for model in priced:
        for target in model.targets:
            if model.price is not None:
                told.setdefault(target.target, model.price)
    return told


def _several(model: ModelSection) -> bool:
    return len(model.targets) > 1


def _group(model: ModelSection) -> Group | None:
    if model.ensemble is None and model.cascade is None and model.validation is None:
        return None
    if model.cascade is None:
        return Group(model.ensemble, validation=model.validation)
    return Group(None, model.cascade.steps, model.validation, model.cascade.confidence)


def _least(limits: Iterable[int | None]) -> int | None:
    """What every target can do; None where that is not known of one."""
    known = list(limits)
    return min((limit for limit in known if limit is not None), default=None) if None not in known else None
