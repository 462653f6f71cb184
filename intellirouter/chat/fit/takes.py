"""What one kind of target takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from intellirouter.chat.parts import Vendor


@dataclass(frozen=True, slots=True)
class NameRule:
    """Names of tools: how long, of which characters, and what the first must be. `parts`: a namespace is a name apart."""

    longest: int
    foreign: re.Pattern[str]
    first: re.Pattern[str] = re.compile(r".")
    parts: bool = False

    def takes(self, name: str) -> bool:
        """Whether it goes as it is."""
        return (
            0 < len(name) <= self.longest
            and self.foreign.search(name) is None
            and self.first.match(name) is not None
        )


@dataclass(frozen=True, slots=True)
class SchemaRules:
    """JSON Schema as a target takes it. `keywords` None: all of them; what is not among them is told in the description.

    `formats` are those of strings; `item_counts` the values of `minItems`. `closed`: every object must exclude further
    properties, so one of free form cannot be said. `whole_top`: no union at the top; `bare_refs`: nothing beside a `$ref`.
    """

    keywords: frozenset[str] | None = None
    formats: frozenset[str] | None = None
    item_counts: frozenset[int] | None = None
    closed: bool = False
    whole_top: bool = False
    items: str | None = (
        None  # the type an array without `items` is said to hold; empty: any, None: none is added
    )
    boolean: bool = True  # true and false as schemas
    type_lists: bool = True
    recursive: bool = True
    bare_refs: bool = False
    any_enum: bool = True  # words of any kind, the empty one too
    defined_only: bool = False  # what is required must be among the properties
    property_names: re.Pattern[str] | None = None  # what those of an object must be
    object_top: bool = False  # an object at the top and no union: anything else cannot be said


@dataclass(frozen=True, slots=True)
class Takes:
    """What one kind of target takes, and what it refuses.

    `who` is its name in notes, `dialect` whose own blocks and tools travel to it. Counts and lengths are None where there is
    no bound.
    """

    who: str
    dialect: str
    shared: bool = False  # many vendors speak it: a client that does wrote for none of them in particular

    # Turns
    systems: Literal["anywhere", "leading", "first", "apart"] = "anywhere"
    """`leading`: before all others, `first`: one, before all others; `apart`: the wire format takes them out by itself."""
    developers: bool = True  # knows the role `developer`, as some do by whatever template they run
    alternates: bool = False  # no two turns of one side in a row
    user_first: bool = False
    user_last: bool = False  # goes on with no turn of its own
    asks: bool = False  # a system message alone is no request
    prefix: bool = False  # a last turn of the assistant's must say that it is to be continued
    results_then_user: bool = True  # the user may speak right after a tool
    text: Literal["any", "some", "visible"] = "any"  # some: not empty; visible: not white space alone
    empty_turns: bool = False  # an assistant's turn without content

    # Parts
    refusals: bool = True  # the model's own, as a kind of their own
    thoughts: Literal["words", "signed", "sealed", "none"] = "words"  # sealed: OpenAI's encrypted ones
    signer: Vendor | None = None
    bare_thoughts: bool = False  # a turn of thoughts alone
    made_media: bool = False  # pictures that the model made, in its own turns
    system_media: bool = False  # pictures in a system message
    https: bool = False  # fetches by https alone
    result_media: bool = False  # pictures and documents inside a tool's result
    documents_as_text: bool = True  # of text kinds; else as documents
    images: frozenset[str] | None = None  # media types
    files: frozenset[str] | None = None
    file_names: bool = False  # a document must have a name
    audio: frozenset[str] | None = None  # by their common names
    cache_markers: bool = False  # `cache_control` on a part
    most_markers: int | None = None
    billing_header: bool = False  # Claude Code's, which differs in every request

    # Tools
    object_arguments: bool = False  # reads the arguments of earlier calls, which must be objects
    names: NameRule | None = None
    call_id_longest: int | None = None
    custom_tools: bool = False  # tools whose input is free text
    most_tools: int | None = None
    calls_offered: bool = False  # calls of earlier turns are of tools that the request offers
    choice_alone: bool = False  # a choice among tools where none are offered
    empty_list: bool = True  # an empty list of tools
    search: Literal["openai_responses", "anthropic_messages", "gemini", "vertex", "openrouter"] | None = None
    search_beside_tools: bool = True
    tool_schema: SchemaRules = field(default_factory=SchemaRules)
    strict_tools: bool = True  # tools may be held strictly to their schema
    strict_schema: SchemaRules | None = None  # of a strict tool, where it is another

    # The answer
    answer_schema: SchemaRules | None = field(default_factory=SchemaRules)  # None: it knows no schemas
    json_mode: bool = True
    json_word: bool = False  # JSON mode wants the word in the conversation
    form_beside_tools: bool = True  # an answer's form may be asked for beside tools

    # Settings
    user_longest: int | None = None
    user_nameless: bool = False  # no address or number of a person
    cache_key_longest: int | None = None
    efforts: tuple[str, ...] | None = None  # words for how much to think; empty: none, None: any
    wordiness: bool = True  # how wordy to be
    tiers: Mapping[str, str] | None = None  # service tiers by their names elsewhere; None: any word
    most_stops: int | None = None
    blank_stops: bool = True
    most_choices: int | None = None
    least_tokens: int = 1
    most_logprobs: int | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    greedy_top_p: bool = True  # `top_p` beside a temperature of 0
