"""Which persona a request gets that names none, and which version of it: rules and trials of `[router]`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from intellirouter.bounds.patterns import Pattern, compiled, found_in
from intellirouter.config.schema.router import PersonaRuleSection, PersonaTrialSection
from intellirouter.inference.job import Job
from intellirouter.security.caller import ANONYMOUS
from intellirouter.security.ownership import owned

_READ_CHARACTERS = 100_000
"""Of the last user message, searched by a rule's `content`."""


@dataclass(frozen=True, slots=True)
class _Rule:
    section: PersonaRuleSection
    content: Pattern | None

    def holds(self, job: Job) -> bool:
        """Everything that the rule names."""
        section, caller, options = self.section, job.caller, job.request.options
        if section.keys and caller.key_id not in section.keys:
            return False
        if section.teams and caller.team not in section.teams:
            return False
        if section.models and job.request.model not in section.models:
            return False
        if section.tags and not set(section.tags) & set(options.tags if options else ()):
            return False
        if self.content is None:
            return True
        said = next((m.text for m in reversed(job.request.messages) if m.role == "user"), "")
        return found_in(self.content, said[:_READ_CHARACTERS])


class PersonaChoice:
    """The rules and trials in force."""

    def __init__(
        self, rules: Sequence[PersonaRuleSection] = (), trials: Sequence[PersonaTrialSection] = ()
    ) -> None:
        self.configure(rules, trials)

    def configure(self, rules: Sequence[PersonaRuleSection], trials: Sequence[PersonaTrialSection]) -> None:
        """Take these in place of the last ones."""
        self._rules = tuple(
            _Rule(rule, compiled(rule.content, any_case=True) if rule.content else None) for rule in rules
        )
        self._trials = {trial.persona: trial for trial in trials}

    @property
    def has_rules(self) -> bool:
        """Whether any request could get a persona that it did not ask for."""
        return bool(self._rules)

    def by_rule(self, job: Job) -> str | None:
        """The persona of the first rule that holds."""
        return next((rule.section.persona for rule in self._rules if rule.holds(job)), None)

    def versioned(self, name: str, job: Job) -> str:
        """The persona with the version this caller is to get, where versions are on trial and none was named."""
        trial = self._trials.get(name)
        if trial is None:
            return name
        draw = place(name, subject_of(job))
        for version, percent in sorted(trial.versions.items()):
            draw -= percent
            if draw < 0:
                return f"{name}@{version}"
        return name


def subject_of(job: Job) -> str:
    """What stays with one version: a conversation, else the caller's user, else the key; an unknown caller's request alone."""
    request, caller = job.request, job.caller
    conversation = request.options.conversation if request.options else None
    if conversation:
        return f"conversation:{owned(caller.tenant, conversation)}"
    if request.user:
        return f"user:{owned(caller.tenant, request.user)}"
    return f"request:{job.request_id}" if caller.key_id == ANONYMOUS.key_id else f"key:{caller.key_id}"


def place(name: str, subject: str) -> float:
    """Where the subject stands for this persona, evenly between 0 and 100."""
    digest = hashlib.sha256(f"{name}\0{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100
