"""A document becomes a `Chain`, or every problem in it is told with its line and path."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from dataclasses import dataclass, field
from typing import Any

import msgspec

from intellirouter.bounds.fuel import OutOfFuel, tank
from intellirouter.bounds.schemas import BadSchema, schema, trusted
from intellirouter.chains import expr
from intellirouter.chains.advice import advice, near, words
from intellirouter.chains.model import Branch, Chain, Step
from intellirouter.chains.parts import fitting, input_of, limits_of, plain_spec, retry_of, seconds, size
from intellirouter.chains.plan import MAX_WIDTH, width
from intellirouter.chains.schema import (
    ABOUT,
    AROUND,
    ASKING,
    BESIDE,
    EFFECTS,
    INLINE,
    KINDS,
    MAX_RESULT,
    MAX_STEPS,
    SCHEMA,
)
from intellirouter.chains.source import MAX_PROBLEMS, Document, InvalidChain, Path, within_bounds
from intellirouter.chains.steps.turn import SEARCH
from intellirouter.config.problem import Problem

CHECK_WORK = 40_000_000
"""Units of work (`bounds.fuel`) that one definition may take to be checked: a few seconds, so never on the event loop."""
MOST_TOLD = 20
"""Names that are told where one is not there."""
_WHOLE = trusted(SCHEMA)
_STEP = trusted({**SCHEMA["$defs"]["step"], "$defs": SCHEMA["$defs"]})
_BODIES = frozenset({"map", "loop"})


@dataclass(frozen=True, slots=True)
class Known:
    """Names that exist outside the definition; None: not checked."""

    models: Collection[str] | None = None
    personas: Collection[str] | None = None
    chains: Collection[str] | None = None
    tools: Collection[str] | None = None
    secrets: Collection[str] | None = None
    address: Callable[[str], str | None] | None = None
    """What is wrong with an address that an `http` step would ask."""


def check(
    document: Document, known: Known | None = None, default_timeout: float = 30.0, *, fresh: bool = True
) -> Chain:
    """The chain of a document. Raises `InvalidChain`. A large one takes seconds: do it in a thread.

    One that was stored already is not `fresh`: what it says without any effect is not held against it.
    """
    within_bounds(document)
    if (count := _steps_in(document.data)) > MAX_STEPS:
        raise InvalidChain([document.problem(("steps",), _too_many(count))])
    try:
        with tank(CHECK_WORK):
            return _Check(document, known or Known(), default_timeout, fresh).chain()
    except OutOfFuel as error:
        raise InvalidChain(
            [document.problem((), "The definition takes too much work to be checked.")]
        ) from error
    except RecursionError as error:
        raise InvalidChain([document.problem((), "The definition is nested too deeply.")]) from error


def _too_many(count: int) -> str:
    return f"The chain has {count:,} steps; at most {MAX_STEPS:,} are allowed."


def _steps_in(data: Any) -> int:
    """How many entries its bodies have, right or wrong."""
    count, stack = 0, [data]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            count += sum(len(value[name]) for name in ("steps", "do") if isinstance(value.get(name), list))
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return count


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which steps can be read here, and whether this is a branch that runs beside others."""

    steps: Set[str]
    names: frozenset[str] = frozenset({"input", "steps", "run"})
    concurrent: bool = False
    inputs: frozenset[str] | None = None
    """That the chain declares; None: not looked at, as where `input` is the item of a map."""


@dataclass(slots=True)
class _Check:
    document: Document
    known: Known
    default_timeout: float
    fresh: bool = True
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def chain(self) -> Chain:
        data = self.document.data
        for error in sorted(
            _WHOLE.errors(data, MAX_PROBLEMS), key=lambda e: [str(p) for p in e.absolute_path]
        ):
            self._add(tuple(error.absolute_path), words(error), advice(error))
        if self.problems:
            raise InvalidChain(self.problems)
        defaults = data.get("defaults", {})
        base = Step(
            "",
            "",
            timeout=seconds(defaults.get("timeout", self.default_timeout)),
            retry=retry_of(defaults.get("retry")),
            limits=limits_of(defaults.get("limits", {})),
        )
        for name, entry in data.get("input", {}).items():
            self._schema({k: v for k, v in entry.items() if k != "default"}, ("input", name))
        inputs = frozenset(data.get("input", {}))
        steps = self._body(data["steps"], ("steps",), _Scope(frozenset(), inputs=inputs), base)
        head = data["chain"]
        if "output" in data:
            self._expressions(
                data["output"], ("output",), _Scope(frozenset(step.id for step in steps), inputs=inputs)
            )
        if self.count > MAX_STEPS:
            self._add(("steps",), _too_many(self.count))
        elif (need := sum(map(width, steps))) > MAX_WIDTH:
            self._add(
                ("steps",),
                f"The chain may run {need:,} steps in all; at most {MAX_WIDTH:,} are allowed.",
                "Lower 'max' or 'max_items'.",
            )
        if self.problems:
            raise InvalidChain(self.problems)
        return Chain(
            name=head["name"],
            steps=steps,
            document=data,
            version=head.get("version", 1),
            description=head.get("description", ""),
            inputs={name: input_of(entry) for name, entry in data.get("input", {}).items()},
            output=data.get("output"),
            max_parallel_steps=head.get("max_parallel_steps"),
            timeout=seconds(head["timeout"]) if "timeout" in head else None,
        )

    def _add(self, path: Path, message: str, advice: str = "") -> None:
        self.problems.append(self.document.problem(path, message, advice))
        if len(self.problems) >= MAX_PROBLEMS:
            raise InvalidChain(self.problems)

    def _schema(self, document: Any, path: Path) -> None:
        try:
            schema(document)
        except BadSchema as error:
            self._add(path, error.message)

    def _body(self, entries: list[Any], path: Path, scope: _Scope, base: Step) -> tuple[Step, ...]:
        steps: list[Step] = []
        own: set[str] = set()
        before = set(scope.steps)  # grows from step to step
        seen = _Scope(before, scope.names, scope.concurrent, scope.inputs)
        for index, entry in enumerate(entries):
            inner = (*path, index)
            if entry["id"] in own:
                self._add((*inner, "id"), f"The id '{entry['id']}' stands twice in this body.")
            if step := self._step(entry, inner, seen, base):
                steps.append(step)
            own.add(entry["id"])
            before.add(entry["id"])
        return tuple(steps)

    def _step(self, entry: dict[str, Any], path: Path, scope: _Scope, base: Step) -> Step | None:
        self.count += 1
        kinds = [kind for kind in KINDS if kind in entry]
        if len(kinds) != 1:
            said = f"it has {' and '.join(kinds)}" if kinds else "it has none"
            self._add(path, f"A step needs exactly one kind; {said}.", f"Kinds: {', '.join(KINDS)}.")
            return None
        kind = kinds[0]
        if ("do" in entry) != (kind in _BODIES):
            self._add(path, f"'{kind}' {'needs a' if kind in _BODIES else 'takes no'} 'do' here.")
            return None
        if "when" in entry:
            self._expression(entry["when"], (*path, "when"), scope)
        spec = entry[kind]
        self._spec(kind, spec, (*path, kind), scope)
        if "cache" in entry and (kind in INLINE or (kind not in EFFECTS and self.fresh)):
            self._add((*path, "cache"), f"'{kind}' has no result of its own to cache.")
        if kind not in EFFECTS and "retry" in entry and self.fresh:
            self._add(
                (*path, "retry"),
                f"'{kind}' is not tried again as a whole.",
                "Put it into steps that ask somebody.",
            )
        self._bounded(kind, entry, path)
        do, branches = self._bodies(kind, entry, path, scope, base)
        return Step(
            id=entry.get("id", ""),
            kind=kind,
            spec=plain_spec(kind, spec),
            do=do,
            branches=branches,
            when=entry.get("when"),
            timeout=seconds(entry["timeout"]) if "timeout" in entry else base.timeout,
            within=seconds(entry["timeout"]) if "timeout" in entry and kind not in EFFECTS else None,
            retry=retry_of(entry.get("retry"), base.retry),
            cache=seconds(entry["cache"]) if "cache" in entry else None,
            fallback=self._fallback(entry, path, scope, base),
            proceed=entry.get("on_error") == "continue",
            limits=limits_of(entry.get("limits", {}), fitting(kind, base.limits)),
        )

    def _bodies(
        self, kind: str, entry: dict[str, Any], path: Path, scope: _Scope, base: Step
    ) -> tuple[tuple[Step, ...], tuple[Branch, ...]]:
        if kind == "map":
            item = entry["map"]["as"]
            inner = _Scope(
                scope.steps, scope.names | {item, "index"}, True, None if item == "input" else scope.inputs
            )
            return self._body(entry["do"], (*path, "do"), inner, base), ()
        if kind == "loop":
            body = frozenset(step["id"] for step in entry["do"])
            around = _Scope(scope.steps | body, scope.names | {"index"}, scope.concurrent, scope.inputs)
            if until := entry["loop"].get("until"):
                self._expression(until, (*path, "loop", "until"), around)
            return self._body(entry["do"], (*path, "do"), around, base), ()
        if kind not in ("switch", "parallel"):
            return (), ()
        branches = []
        inner = _Scope(scope.steps, scope.names, scope.concurrent or kind == "parallel", scope.inputs)
        for index, branch in enumerate(entry[kind]):
            at = (*path, kind, index)
            if "when" in branch:
                self._expression(branch["when"], (*at, "when"), scope)
            do = self._body(branch["do"], (*at, "do"), inner, base)
            branches.append(Branch(do, branch.get("when"), branch.get("name", str(index))))
        return (), tuple(branches)

    def _bounded(self, kind: str, entry: dict[str, Any], path: Path) -> None:
        """A limit that would bound nothing is refused."""
        given, at = entry.get("limits", {}), (*path, "limits")
        if "cost" in given and kind not in ASKING | AROUND:
            self._add(
                (*at, "cost"), f"'{kind}' asks no model: what it costs is not known, so it cannot be bounded."
            )
        if "parallelism" in given and kind not in BESIDE:
            self._add((*at, "parallelism"), f"'{kind}' does one thing at a time.", "Take it away.")
        if "parallelism" in given and "max_parallel" in (entry[kind] if kind == "map" else {}):
            self._add((*at, "parallelism"), "'map.max_parallel' says it already.", "Keep one of them.")
        if "bytes" in given and kind == "sleep":
            self._add((*at, "bytes"), "'sleep' gives nothing.", "Take it away.")
        if "bytes" in given and kind in EFFECTS and size(given["bytes"]) > MAX_RESULT:
            self._add((*at, "bytes"), f"A step gives at most {MAX_RESULT:,} bytes.", "Lower it.")

    def _fallback(self, entry: dict[str, Any], path: Path, scope: _Scope, base: Step) -> Step | None:
        if "fallback" not in entry:
            return None
        inner = (*path, "fallback")
        document = {"id": "fallback", **entry["fallback"]}
        for error in _STEP.errors(document, 1):
            self._add((*inner, *error.absolute_path), words(error), advice(error))
            return None
        for name in sorted({"cost", "parallelism"} & set(document.get("limits", {}))):
            self._add((*inner, "limits", name), f"'{name}' holds for a step and its fallback together.")
        limits = limits_of(entry.get("limits", {}), base.limits)
        step = self._step(document, inner, scope, msgspec.structs.replace(base, limits=limits))
        if step and (step.kind in INLINE or step.kind in ("wait", "sleep")):
            self._add(inner, f"'{step.kind}' cannot be a fallback.")
        return step

    def _spec(self, kind: str, spec: Any, path: Path, scope: _Scope) -> None:
        if kind == "set":
            self._expressions(spec, path, scope)
        elif kind == "map":
            self._expression(spec["over"], (*path, "over"), scope)
        elif kind == "chain":
            self._exists("chain", self.known.chains, spec["name"], (*path, "name"))
            self._expressions(spec.get("input", {}), (*path, "input"), scope)
        elif kind == "wait":
            self._wait(spec, path, scope)
        elif isinstance(spec, dict) and kind != "loop":
            plain = ("schema", "labels") if kind in ASKING else ()
            self._templates({key: value for key, value in spec.items() if key not in plain}, path, scope)
        if kind in ASKING:
            if "schema" in spec:
                self._schema(spec["schema"], (*path, "schema"))
            if kind == "llm" and sum(key in spec for key in ("prompt", "messages")) != 1:
                self._add(path, "'llm' needs either 'prompt' or 'messages'.")
            self._exists("model", self.known.models, spec["model"], (*path, "model"))
        self._outside(kind, spec, path)
        persona = spec.get("persona") if kind == "llm" else spec.get("name") if kind == "persona" else None
        if isinstance(persona, dict):
            persona = persona.get("name")
        if persona:
            self._exists("persona", self.known.personas, persona, path)

    def _wait(self, spec: dict[str, Any], path: Path, scope: _Scope) -> None:
        if scope.concurrent:
            self._add(
                path, "A 'wait' cannot stand inside a map or parallel body.", "Wait before or after it."
            )
        self._templates({name: spec[name] for name in ABOUT if name in spec}, path, scope)
        if "form" in spec:
            self._schema(spec["form"], (*path, "form"))

    def _outside(self, kind: str, spec: Any, path: Path) -> None:
        """What a step reaches outside must be there, as far as it is known before the run."""
        if kind == "tool":
            self._exists("tool", self.known.tools, spec["name"], (*path, "name"))
        elif kind == "agent":
            for index, name in enumerate(spec.get("tools", ())):
                self._exists("tool", self.known.tools, name, (*path, "tools", index))
            if spec.get("collections") and SEARCH in spec.get("tools", ()):
                self._add((*path, "tools"), f"An agent with 'collections' has a tool '{SEARCH}' by itself.")
        elif kind == "http":
            if "secret" in spec:
                self._exists("secret", self.known.secrets, spec["secret"], (*path, "secret"))
            if self.known.address is not None and "{" not in spec["url"]:
                wrong = self.known.address(spec["url"])
                if wrong is not None:
                    self._add((*path, "url"), wrong)

    def _exists(self, what: str, known: Collection[str] | None, name: str, path: Path) -> None:
        if known is not None and "{" not in name and name not in known:
            self._add(path, f"There is no {what} '{name}'.", near(name, known))

    def _expressions(self, value: Any, path: Path, scope: _Scope) -> None:
        self._each(value, path, lambda text, at: self._expression(text, at, scope))

    def _templates(self, value: Any, path: Path, scope: _Scope) -> None:
        self._each(value, path, lambda text, at: self._reads(text, at, scope) if "{" in text else None)

    def _each(self, value: Any, path: Path, act: Any) -> None:
        if isinstance(value, str):
            act(value, path)
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._each(inner, (*path, key), act)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self._each(inner, (*path, index), act)

    def _expression(self, text: str, path: Path, scope: _Scope) -> None:
        self._reads("{{ (" + text + ") }}", path, scope)

    def _reads(self, template: str, path: Path, scope: _Scope) -> None:
        try:
            names, steps, inputs = expr.references(template)
        except expr.BadExpression as error:
            self._add(path, error.message)
            return
        for name in sorted(names - scope.names):
            self._add(path, f"There is no '{name}' here.", f"Names: {', '.join(sorted(scope.names))}.")
        known = scope.inputs if self.fresh else None
        for name in sorted(inputs - known) if known is not None else ():
            there = sorted(known or ())
            said = (
                f"Inputs: {', '.join(there[:MOST_TOLD]) or 'none'}{' …' if len(there) > MOST_TOLD else ''}."
            )
            self._add(path, f"The chain has no input '{name}'.", near(name, there) or said)
        for step in sorted(steps - scope.steps):
            self._add(path, f"No step '{step}' has run before this.", near(step, scope.steps))
