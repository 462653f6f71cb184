"""Who takes what: one entry for each kind of provider, refined by the model where its family decides.

Sources: the vendors' API references and their servers' own messages. OpenAI (chat, Responses, structured outputs), Anthropic
(Messages, structured outputs, tool use), Google (generateContent, Schema, function calling), Mistral (chat, and the request
validator of mistral-common), Ollama (api.md), Groq, DeepSeek, xAI, Cerebras, OpenRouter (API references), and the chat
templates of Qwen, Gemma, Llama and Mistral models as vLLM, llama.cpp and LM Studio run them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from intellirouter.chat.anthropic_messages.blocks import DIALECT as ANTHROPIC
from intellirouter.chat.anthropic_messages.models import traits_of as claude
from intellirouter.chat.fit.takes import NameRule, SchemaRules, Takes
from intellirouter.chat.gemini.parts import DIALECT as GEMINI
from intellirouter.chat.mistral.request import DIALECT as MISTRAL
from intellirouter.chat.ollama.request import DIALECT as OLLAMA
from intellirouter.chat.openai_chat.content import DIALECT as CHAT
from intellirouter.chat.openai_responses.content import DIALECT as RESPONSES

_PLAIN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
NAME_64 = NameRule(64, _PLAIN_NAME)
NAME_128 = NameRule(128, _PLAIN_NAME)
NAME_GEMINI = NameRule(64, re.compile(r"[^a-zA-Z0-9_.:-]"), re.compile(r"[a-zA-Z_]"))
NAME_PARTS = NameRule(64, _PLAIN_NAME, parts=True)

_OPENAI_SCHEMA = SchemaRules(whole_top=True, items="")
_PLAIN_SCHEMA = SchemaRules(whole_top=True, items="", boolean=False)
_PROPERTY_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_CLAUDE_SCHEMA = SchemaRules(whole_top=True, property_names=_PROPERTY_NAME)
_CLAUDE_CLOSED = SchemaRules(
    keywords=frozenset(
        """type properties required additionalProperties items enum const anyOf allOf $ref $defs default description
        title format minItems""".split()
    ),
    formats=frozenset("date-time time date duration email hostname uri ipv4 ipv6 uuid".split()),
    item_counts=frozenset({0, 1}),
    closed=True,
    property_names=_PROPERTY_NAME,
    type_lists=False,
    recursive=False,
    boolean=False,
)
_GEMINI_SCHEMA = SchemaRules(
    keywords=frozenset(
        """type properties required additionalProperties items prefixItems minItems maxItems minimum maximum enum anyOf
        $ref $defs description title format propertyOrdering""".split()
    ),
    formats=frozenset("date-time date time enum float double int32 int64".split()),
    items="string",
    boolean=False,
    bare_refs=True,
    any_enum=False,
    defined_only=True,
)

_OPENAI_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_GEMINI_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_PDF = frozenset({"application/pdf"})
_PENALTIES = {"presence_penalty": (-2.0, 2.0), "frequency_penalty": (-2.0, 2.0)}
_SAMPLING = {"temperature": (0.0, 2.0), "top_p": (0.0, 1.0), **_PENALTIES}
_OPENAI_TIERS = {
    **{word: word for word in ("auto", "default", "flex", "priority", "scale")},
    "standard_only": "default",
    "standard": "default",
    "on_demand": "default",
}

_OPENAI = Takes(
    "openai",
    CHAT,
    shared=True,
    empty_turns=True,
    thoughts="none",
    images=_OPENAI_IMAGES,
    files=_PDF,
    file_names=True,
    audio=frozenset({"wav", "mp3"}),
    names=NAME_64,
    call_id_longest=40,
    custom_tools=True,
    most_tools=128,
    empty_list=False,
    tool_schema=_OPENAI_SCHEMA,
    answer_schema=SchemaRules(object_top=True),
    json_word=True,
    user_longest=64,
    cache_key_longest=64,
    tiers=_OPENAI_TIERS,
    most_stops=4,
    most_logprobs=20,
    ranges=_SAMPLING,
)
_RESPONSES = replace(
    _OPENAI,
    who="the Responses API",
    dialect=RESPONSES,
    shared=False,
    thoughts="sealed",
    bare_thoughts=True,
    system_media=True,
    result_media=True,
    files=None,
    audio=None,
    names=NAME_PARTS,
    call_id_longest=64,
    search="openai_responses",
    documents_as_text=False,
    most_stops=None,
    least_tokens=16,
)
_HOSTED = replace(
    _OPENAI,
    systems="first",
    developers=False,
    refusals=False,
    asks=True,
    alternates=True,
    user_first=True,
    empty_turns=False,
    thoughts="words",
    files=None,
    audio=None,
    custom_tools=False,
    most_tools=None,
    empty_list=True,
    call_id_longest=None,
    tool_schema=_PLAIN_SCHEMA,
    answer_schema=SchemaRules(),
    object_arguments=True,
    images=None,
    json_word=False,
    user_longest=None,
    cache_key_longest=None,
    tiers=None,
    most_stops=None,
)
"""What is safe with whatever open model stands behind an address: one system message first, turns that alternate."""

_CHAT: tuple[Takes, ...] = (
    _OPENAI,
    replace(_OPENAI, who="azure"),
    replace(_HOSTED, who="openai_compatible", developers=True),
    replace(_HOSTED, who="vllm", empty_list=False),
    replace(_HOSTED, who="llamacpp"),
    replace(_HOSTED, who="lmstudio"),
    replace(_HOSTED, who="together"),
    replace(_HOSTED, who="fireworks", most_stops=4),
    replace(_HOSTED, who="huggingface", most_stops=4),
    replace(
        _HOSTED,
        who="groq",
        developers=True,
        answer_schema=SchemaRules(object_top=True),
        thoughts="none",
        form_beside_tools=False,
        json_word=True,
        most_tools=128,
        most_stops=4,
        most_choices=1,
        tiers={
            **{w: w for w in ("auto", "on_demand", "flex", "performance")},
            "default": "on_demand",
            "priority": "performance",
            "standard_only": "on_demand",
            "standard": "on_demand",
        },
    ),
    replace(
        _HOSTED,
        who="deepseek",
        systems="leading",
        alternates=False,
        user_first=False,
        answer_schema=None,
        json_word=True,
        most_tools=128,
        most_stops=16,
        most_choices=1,
        most_logprobs=20,
    ),
    replace(_HOSTED, who="xai", thoughts="none", most_logprobs=8, most_tools=128),
    replace(
        _HOSTED,
        who="cerebras",
        answer_schema=SchemaRules(object_top=True),
        thoughts="none",
        most_choices=1,
        most_stops=4,
        ranges={**_SAMPLING, "temperature": (0.0, 1.5)},
    ),
    replace(
        _HOSTED,
        who="openrouter",
        images=_OPENAI_IMAGES,
        files=_PDF | {"video/*"},
        user_longest=128,
        most_stops=4,
        search="openrouter",
        cache_markers=True,
        most_markers=4,
        signer="openrouter",
        json_word=True,
    ),
)
_MISTRAL = replace(
    _HOSTED,
    who="mistral",
    dialect=MISTRAL,
    shared=False,
    choice_alone=True,
    alternates=False,
    prefix=True,
    results_then_user=False,
    text="some",
    images=_OPENAI_IMAGES,
    most_tools=128,
    ranges={**_SAMPLING, "temperature": (0.0, 1.5)},
    greedy_top_p=False,
)
_OLLAMA = replace(
    _HOSTED,
    who="ollama",
    dialect=OLLAMA,
    shared=False,
    documents_as_text=False,
    files=frozenset(),
    most_choices=1,
    names=None,
    most_logprobs=20,
)
_CLAUDE = Takes(
    "anthropic",
    ANTHROPIC,
    systems="apart",
    user_first=True,
    text="visible",
    https=True,
    calls_offered=True,
    cache_markers=True,
    most_markers=4,
    thoughts="signed",
    signer="anthropic",
    result_media=True,
    documents_as_text=False,
    images=_OPENAI_IMAGES,
    files=_PDF,
    billing_header=True,
    names=NAME_128,
    search="anthropic_messages",
    tool_schema=_CLAUDE_SCHEMA,
    strict_schema=_CLAUDE_CLOSED,
    answer_schema=_CLAUDE_CLOSED,
    json_mode=False,
    user_longest=256,
    user_nameless=True,
    blank_stops=False,
)
_GEMINI = Takes(
    "Gemini",
    GEMINI,
    systems="apart",
    user_first=True,
    user_last=True,
    asks=True,
    text="some",
    thoughts="signed",
    signer="google",
    bare_thoughts=True,
    made_media=True,
    result_media=True,
    images=_GEMINI_IMAGES,
    files=frozenset({"application/pdf", "video/*", "audio/*", "image/*", "text/*"}),
    audio=frozenset("wav mp3 aiff aac ogg flac m4a opus webm pcm16".split()),
    names=NAME_GEMINI,
    search="gemini",
    tool_schema=_GEMINI_SCHEMA,
    answer_schema=_GEMINI_SCHEMA,
    most_stops=5,
    most_choices=8,
    most_logprobs=20,
    ranges=_SAMPLING,
)
_PROMPT = Takes("a prompt", "openai_completions", most_stops=4)

TAKES: Mapping[str, Takes] = {
    **{takes.who: takes for takes in _CHAT},
    "openai_responses": _RESPONSES,
    "mistral": _MISTRAL,
    "ollama": _OLLAMA,
    "anthropic": _CLAUDE,
    "google": _GEMINI,
    "vertex": replace(_GEMINI, search="vertex"),
}
"""By the `kind` of a provider."""

_BEFORE_GEMINI_3 = re.compile(r"(?:^|/)(?:gemini-[12](?!\d)|gemma-|learnlm)")
_BEFORE_GPT_5 = re.compile(r"(?:^|/)(?:gpt-[34]|chatgpt-|o[134](?:-|$))")
_THOUGHTLESS_GPT = re.compile(r"(?:^|/)(?:gpt-[34]|chatgpt-|gpt-5[.0-9]*-chat)")
_EFFORTS: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = (
    ("groq", re.compile(r"gpt-oss"), ("low", "medium", "high")),
    ("groq", re.compile(r"qwen"), ("none", "default")),
    ("groq", re.compile(r"llama|gemma|mixtral|kimi|allam|compound"), ()),
    ("xai", re.compile(r"grok-3-mini"), ("low", "high")),
    ("xai", re.compile(r"grok-(?:2|3|4(?!\.)|code)"), ()),
    ("vllm", re.compile(r""), ("low", "medium", "high")),
    ("openai", _THOUGHTLESS_GPT, ()),
    ("azure", _THOUGHTLESS_GPT, ()),
    ("the Responses API", _THOUGHTLESS_GPT, ()),
)
"""Which words for how much to think a model takes, the first that fits it."""
_MISTRAL_FAMILY = re.compile(r"mistral|mixtral|magistral|devstral|ministral|codestral|pixtral|voxtral", re.I)


@lru_cache(maxsize=1024)
def takes_of(kind: str, model: str) -> Takes:
    """What a model of this name takes at this kind of provider."""
    takes = TAKES[kind]
    words = next((w for who, names, w in _EFFORTS if who == takes.who and names.search(model)), None)
    if words is not None:
        takes = replace(takes, efforts=words)
    if takes.who in ("openai", "azure", "the Responses API") and _BEFORE_GPT_5.search(model):
        takes = replace(takes, wordiness=False)
    if takes.dialect == GEMINI and _BEFORE_GEMINI_3.search(model):
        return replace(takes, result_media=False, search_beside_tools=False, form_beside_tools=False)
    if takes.dialect == ANTHROPIC and not claude(model).structured:
        return replace(takes, answer_schema=None, strict_schema=None, strict_tools=False)
    if takes.dialect in (CHAT, OLLAMA) and takes.alternates and _MISTRAL_FAMILY.search(model):
        return replace(takes, results_then_user=False)
    return takes
