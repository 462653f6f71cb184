"""`rules`: the request decides: its length, images, tools, tags, headers."""

from __future__ import annotations

from collections.abc import Sequence

from intellirouter.inference.selection.option import Facts, Option, Rule


def holds(rule: Rule, facts: Facts) -> bool:
    """True when the request fulfils everything the rule names."""
    return (
        (rule.min_tokens is None or facts.input_tokens >= rule.min_tokens)
        and (rule.max_tokens is None or facts.input_tokens <= rule.max_tokens)
        and (rule.images is None or facts.images == rule.images)
        and (rule.tools is None or facts.tools == rule.tools)
        and rule.tags <= facts.tags
        and all(_header_holds(name, value, facts) for name, value in rule.headers.items())
    )


def _header_holds(name: str, wanted: str, facts: Facts) -> bool:
    given = facts.headers.get(name.lower())
    return given is not None and wanted in ("*", given)


def rules(options: Sequence[Option], facts: Facts) -> list[int]:
    """The targets of the first rule that holds, in its order, then the rest in the operator's.

    A target is named by id or by one of its tags. Whether the rest may serve at all is `only`, which the caller asks
    with `allowed`.
    """
    rule = next((rule for rule in facts.rules if holds(rule, facts)), None)
    if rule is None:
        return list(range(len(options)))
    places = {name: place for place, name in enumerate(rule.targets)}
    unnamed = len(places)

    def key(index: int) -> tuple[int, int]:
        option = options[index]
        names = (option.id, *option.tags)
        return min((places[name] for name in names if name in places), default=unnamed), index

    return sorted(range(len(options)), key=key)


def allowed(options: Sequence[Option], facts: Facts) -> list[int]:
    """Which options may serve: all, unless the first rule that holds says `only`."""
    rule = next((rule for rule in facts.rules if holds(rule, facts)), None)
    if rule is None or not rule.only:
        return list(range(len(options)))
    named = frozenset(rule.targets)
    return [index for index, option in enumerate(options) if option.id in named or option.tags & named]
