"""For each dialect: requests made of all it can say, in the one form in which it says them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Reasoning, ToolChoice
from intellirouter.chat.openai_chat.content import seal_details
from intellirouter.chat.parts import (
    Audio,
    CacheMarker,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.chat.round_trips.pieces import (
    BASE64,
    COUNT,
    IDS,
    INLINE_IMAGES,
    LINKED_IMAGES,
    METADATA,
    NAMES,
    PENALTY,
    SCHEMAS,
    SIGNERS,
    STOPS,
    TEXTS,
    UNIT,
    WORDS,
    calls,
    functions,
    maybe,
    some,
    unlike,
)

Requests = st.SearchStrategy[ChatRequest]
EFFORTS = st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"])


def choices(
    tools: tuple[Any, ...], kinds: str = "auto none required named allowed"
) -> st.SearchStrategy[Any]:
    """What may be chosen among these tools."""
    plain = [ToolChoice(kind) for kind in ("auto", "none", "required") if kind in kinds.split()]
    picked: list[st.SearchStrategy[Any]] = [st.none()]
    if tools:
        names = [tool.name for tool in tools]
        picked.append(st.sampled_from(plain))
        picked.append(st.sampled_from(names).map(lambda name: ToolChoice("named", name)))
        if "allowed" in kinds:
            several = st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)
            modes = st.sampled_from(["auto", "required"])
            picked.append(st.builds(lambda n, m: ToolChoice("allowed", names=n, mode=m), several, modes))
    return st.one_of(picked)


def conversation(
    first: st.SearchStrategy[tuple[Message, ...]], turns: st.SearchStrategy[Message]
) -> st.SearchStrategy[tuple[Message, ...]]:
    """What may stand first, then a user's turn, then any."""
    opening = some(TEXTS | INLINE_IMAGES).map(lambda parts: Message("user", parts))
    rest = st.lists(turns, max_size=4).map(tuple)
    return st.tuples(first, opening, rest).map(lambda found: (*found[0], found[1], *found[2]))


@st.composite
def chat(draw: st.DrawFn) -> ChatRequest:
    """OpenAI chat completions."""
    files = st.builds(File, data=BASE64, media_type=st.just("application/pdf"), filename=WORDS) | st.builds(
        File, file_id=NAMES
    )
    audio = st.builds(Audio, BASE64, st.sampled_from(["wav", "mp3"]))
    said = some(TEXTS | INLINE_IMAGES | LINKED_IMAGES | files | audio)
    thoughts = st.builds(Thinking, WORDS) | st.builds(
        Thinking,
        WORDS,
        signature=maybe(WORDS),
        encrypted=maybe(WORDS),
        id=maybe(NAMES),
        signer=maybe(st.sampled_from(SIGNERS)),
    ).filter(lambda part: bool(part.signature or part.encrypted))
    details = st.lists(
        st.builds(dict, type=st.just("reasoning.encrypted"), data=WORDS), min_size=1, max_size=2
    )
    thoughts |= st.builds(Thinking, WORDS, signature=details.map(seal_details), signer=st.just("openrouter"))
    customs = st.builds(ToolCall, IDS, NAMES, WORDS, st.just("custom"))
    answers = st.tuples(
        st.lists(thoughts, max_size=1),
        st.lists(TEXTS, max_size=2),
        st.lists(st.builds(Refusal, WORDS), max_size=1),
        st.lists(calls(WORDS, signature=maybe(WORDS)) | customs, max_size=2),
    ).map(lambda parts: tuple(part for some_ in parts for part in some_))
    turns = st.one_of(
        st.builds(Message, st.just("user"), said, maybe(NAMES)),
        st.builds(Message, st.sampled_from(["system", "developer"]), some(TEXTS)),
        st.builds(Message, st.just("assistant"), answers, maybe(NAMES)),
        st.builds(ToolResult, IDS, TEXTS.map(lambda text: (text,))).map(
            lambda part: Message("tool", (part,))
        ),
    )
    tools = draw(unlike(functions(strict=maybe(st.booleans()))))
    schema = st.builds(
        OutputFormat, st.just("json_schema"), SCHEMAS, NAMES, maybe(WORDS), maybe(st.booleans())
    )
    return ChatRequest(
        model="m",
        messages=draw(conversation(st.just(()), turns)),
        tools=tools,
        tool_choice=draw(choices(tools)),
        parallel_tool_calls=draw(maybe(st.booleans())) if tools else None,
        output=draw(maybe(schema | st.sampled_from([OutputFormat("text"), OutputFormat("json")]))),
        reasoning=draw(maybe(EFFORTS.map(Reasoning))),
        top_k=draw(maybe(COUNT)),
        min_p=draw(maybe(UNIT)),
        n=draw(maybe(st.integers(1, 8))),
        seed=draw(maybe(st.integers(0, 2**31))),
        stop=draw(STOPS),
        logprobs=draw(maybe(st.booleans())),
        top_logprobs=draw(maybe(st.integers(0, 20))),
        logit_bias=draw(
            maybe(st.dictionaries(st.integers(0, 9).map(str), st.integers(-100, 100), min_size=1))
        ),
        presence_penalty=draw(maybe(PENALTY)),
        frequency_penalty=draw(maybe(PENALTY)),
        modalities=draw(st.sampled_from([(), ("text",), ("text", "audio")])),
        audio=draw(maybe(st.just({"voice": "alloy", "format": "wav"}))),
        prediction=draw(maybe(st.just({"type": "content", "content": "x"}))),
        store=draw(maybe(st.booleans())),
        prompt_cache_key=draw(maybe(WORDS)),
        verbosity=draw(maybe(st.sampled_from(["low", "medium", "high"]))),
        metadata=draw(maybe(METADATA)),
        service_tier=draw(maybe(st.sampled_from(["auto", "default", "flex", "priority"]))),
        **_shared(draw),
    )


def _shared(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "max_tokens": draw(maybe(COUNT)),
        "temperature": draw(maybe(UNIT)),
        "top_p": draw(maybe(UNIT)),
        "user": draw(maybe(WORDS)),
        "stream": draw(st.booleans()),
    }


@st.composite
def responses(draw: st.DrawFn) -> ChatRequest:
    """OpenAI Responses. Thoughts are whole items, so a run of them and of words makes one turn of the assistant."""
    files = st.builds(File, data=BASE64, media_type=st.just("application/pdf"), filename=WORDS) | st.builds(
        File, url=st.just("https://host/a.pdf")
    )
    said = some(TEXTS | INLINE_IMAGES | LINKED_IMAGES | files)
    thoughts = st.builds(Thinking, WORDS, encrypted=NAMES, id=NAMES)
    cited = st.builds(
        Text, WORDS, annotations=st.just(({"type": "url_citation", "url_citation": {"url": "https://x"}},))
    )
    answers = st.tuples(
        st.lists(thoughts, max_size=1),
        some(TEXTS | cited | st.builds(Refusal, WORDS)),
        st.lists(calls(WORDS), max_size=2),
    ).map(lambda parts: tuple(part for some_ in parts for part in some_))
    searches = st.just(
        Opaque("openai_responses", {"type": "web_search_call", "id": "ws", "status": "completed"})
    )
    turns = st.one_of(
        st.builds(Message, st.just("user"), said),
        st.builds(Message, st.sampled_from(["system", "developer"]), some(TEXTS)),
        st.builds(ToolResult, IDS, some(TEXTS | INLINE_IMAGES)).map(lambda part: Message("tool", (part,))),
    )
    answered = st.tuples(answers | searches.map(lambda part: (part,)), turns).map(
        lambda pair: (Message("assistant", pair[0]), pair[1])
    )
    opening = some(TEXTS | LINKED_IMAGES).map(lambda parts: (Message("user", parts),))
    system = WORDS.map(lambda words: (Message("system", (Text(words),)),)) | st.just(())
    rest = st.lists(answered | turns.map(lambda turn: (turn,)), max_size=3)
    messages = draw(system) + draw(opening) + tuple(turn for pair in draw(rest) for turn in pair)
    tools = draw(unlike(functions(strict=maybe(st.booleans()))))
    schema = st.builds(
        OutputFormat, st.just("json_schema"), SCHEMAS, NAMES, maybe(WORDS), maybe(st.booleans())
    )
    likely = draw(maybe(st.integers(1, 20)))
    return ChatRequest(
        messages=messages,
        model="m",
        tools=tools,
        tool_choice=draw(choices(tools)),
        parallel_tool_calls=draw(maybe(st.booleans())),
        output=draw(maybe(schema | st.sampled_from([OutputFormat("text"), OutputFormat("json")]))),
        reasoning=draw(
            maybe(EFFORTS.map(Reasoning) | st.just(Reasoning("low", summary="auto", include=True)))
        ),
        verbosity=draw(maybe(st.sampled_from(["low", "medium", "high"]))),
        top_logprobs=likely,
        logprobs=True if likely else None,
        metadata=draw(maybe(METADATA)),
        service_tier=draw(maybe(st.sampled_from(["auto", "default", "flex", "priority"]))),
        store=draw(maybe(st.booleans())),
        prompt_cache_key=draw(maybe(WORDS)),
        extra=draw(st.just({}) | st.just({"truncation": "auto", "background": False})),
        extra_dialect="openai_responses",
        include_usage=True,
        **_shared(draw),
    )


@st.composite
def messages(draw: st.DrawFn) -> ChatRequest:
    """Anthropic Messages: sides alternate, results of tools come first."""
    marker = maybe(st.sampled_from([CacheMarker(), CacheMarker("1h")]))
    texts = st.builds(Text, WORDS, cache=marker)
    documents = st.builds(
        File,
        data=BASE64,
        media_type=st.just("application/pdf"),
        title=maybe(WORDS),
        context=maybe(WORDS),
        citations=st.booleans(),
        cache=marker,
    ) | st.builds(File, text=WORDS, media_type=st.just("text/plain"))
    said = some(texts | INLINE_IMAGES | LINKED_IMAGES | documents)
    results = st.builds(ToolResult, IDS, some(TEXTS | INLINE_IMAGES), is_error=st.booleans(), cache=marker)
    thoughts = st.builds(Thinking, WORDS, signature=NAMES, signer=st.just("anthropic")) | st.builds(
        RedactedThinking, NAMES
    )
    answers = st.tuples(
        st.lists(thoughts, max_size=2), some(texts), st.lists(calls(cache=marker), max_size=2)
    ).map(lambda parts: tuple(part for some_ in parts for part in some_))
    pairs = st.tuples(answers, st.lists(results, max_size=2), said).map(
        lambda turn: (Message("assistant", turn[0]), Message("user", (*turn[1], *turn[2])))
    )
    system = some(texts).map(lambda parts: (Message("system", parts),)) | st.just(())
    rest = draw(st.lists(pairs, max_size=2))
    tools = draw(unlike(functions(strict=maybe(st.booleans()), cache=marker)))
    thinks = draw(maybe(st.sampled_from([Reasoning(mode="disabled"), Reasoning("high", mode="adaptive")])))
    choice = draw(
        choices(tools, "auto none" if thinks and thinks.mode == "adaptive" else "auto none required")
    )
    if choice is not None and choice.kind == "named" and thinks:
        choice = None
    free = thinks is None or thinks.mode == "disabled"
    return ChatRequest(
        model="m",
        messages=(*draw(system), Message("user", draw(said)), *(turn for pair in rest for turn in pair)),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(maybe(st.booleans())) if choice and choice.kind != "none" else None,
        max_tokens=draw(COUNT),
        temperature=draw(maybe(UNIT)) if free else None,
        top_p=draw(maybe(UNIT)) if free else None,
        top_k=draw(maybe(COUNT)) if free else None,
        stop=draw(STOPS),
        output=draw(maybe(SCHEMAS.map(lambda schema: OutputFormat("json_schema", schema)))),
        reasoning=thinks,
        user=draw(maybe(WORDS)),
        service_tier=draw(maybe(st.sampled_from(["auto", "standard_only"]))),
        cache=draw(marker),
        stream=draw(st.booleans()),
        include_usage=True,
        extra=draw(st.just({}) | st.just({"mcp_servers": [], "container": "c"})),
        extra_dialect="anthropic_messages",
    )


@st.composite
def gemini(draw: st.DrawFn) -> ChatRequest:
    """Gemini: sides alternate; a turn of results alone is the tools'."""
    texts = st.builds(Text, WORDS, signature=maybe(WORDS))
    audio = st.builds(Audio, BASE64, st.sampled_from(["wav", "mp3"]))
    files = st.builds(File, data=BASE64, media_type=st.just("application/pdf")) | st.builds(
        File, url=st.just("https://host/a.pdf"), media_type=st.just("application/pdf")
    )
    said = some(TEXTS | INLINE_IMAGES | files | audio)
    thoughts = st.builds(Thinking, WORDS, signature=WORDS, signer=st.just("google"))
    called = draw(st.lists(calls(signature=maybe(WORDS)), max_size=2, unique_by=lambda call: call.id))
    answers = (*draw(st.tuples(st.lists(thoughts, max_size=1), some(texts))), called)
    failed = draw(st.booleans())
    words = draw(WORDS)
    results = tuple(ToolResult(call.id, (Text(words),), call.name, failed) for call in called)
    rest: tuple[Message, ...] = (Message("assistant", tuple(part for some_ in answers for part in some_)),)
    rest += (Message("tool", results),) if results else (Message("user", draw(said)),)
    system = some(TEXTS).map(lambda parts: (Message("system", parts),)) | st.just(())
    tools = draw(unlike(functions()))
    schema = SCHEMAS.map(lambda found: OutputFormat("json_schema", found))
    thinks = st.builds(Reasoning, budget_tokens=COUNT, include=maybe(st.booleans())) | st.sampled_from(
        [Reasoning(mode="disabled"), Reasoning(mode="adaptive", include=True)]
    )
    plain = choices(tools).filter(
        lambda c: c is None or c.kind != "allowed" or len(c.names) > 1 or c.mode == "auto"
    )
    return ChatRequest(
        model="m",
        messages=(*draw(system), Message("user", draw(said)), *rest),
        tools=tools,
        tool_choice=draw(plain),
        max_tokens=draw(maybe(COUNT)),
        temperature=draw(maybe(UNIT)),
        top_p=draw(maybe(UNIT)),
        top_k=draw(maybe(COUNT)),
        presence_penalty=draw(maybe(PENALTY)),
        frequency_penalty=draw(maybe(PENALTY)),
        seed=draw(maybe(st.integers(0, 2**31))),
        stop=draw(STOPS),
        n=draw(maybe(st.integers(1, 8))),
        logprobs=draw(maybe(st.booleans())),
        top_logprobs=draw(maybe(st.integers(0, 20))),
        modalities=draw(st.sampled_from([(), ("text",), ("text", "image")])),
        output=draw(maybe(schema | st.just(OutputFormat("json")))),
        reasoning=draw(maybe(thinks)),
        stream=draw(st.booleans()),
        include_usage=True,
        extra=draw(
            st.just({})
            | st.just({"safetySettings": [{"category": "c"}], "generationConfig": {"mediaResolution": "LOW"}})
        ),
        extra_dialect="gemini",
    )


@st.composite
def ollama(draw: st.DrawFn) -> ChatRequest:
    """Ollama's own chat: one text a turn, pictures beside it, arguments as objects."""
    pictures = st.lists(BASE64, max_size=2)
    said = st.tuples(WORDS, pictures).map(lambda turn: Message("user", _ollama_turn(*turn)))
    called = st.lists(calls(), min_size=1, max_size=2, unique_by=lambda call: call.id)
    thoughts = st.lists(st.builds(Thinking, WORDS), max_size=1)
    spoken = st.tuples(thoughts, TEXTS).map(lambda parts: ((Message("assistant", (*parts[0], parts[1])),)))

    def answered(found: tuple[list[Part], list[ToolCall], str]) -> tuple[Message, ...]:
        results = tuple(
            Message("tool", (ToolResult(call.id, (Text(found[2]),), name=call.name),)) for call in found[1]
        )
        return (Message("assistant", (*found[0], *found[1])), *results)

    looped = st.tuples(thoughts, called, WORDS).map(answered)
    rest = st.lists(spoken | looped | said.map(lambda turn: (turn,)), max_size=3)
    system = WORDS.map(lambda words: (Message("system", (Text(words),)),)) | st.just(())
    return ChatRequest(
        model="m",
        messages=(*draw(system), draw(said), *(turn for turns in draw(rest) for turn in turns)),
        tools=draw(unlike(functions())),
        max_tokens=draw(maybe(COUNT)),
        temperature=draw(maybe(UNIT)),
        top_p=draw(maybe(UNIT)),
        top_k=draw(maybe(COUNT)),
        min_p=draw(maybe(UNIT)),
        seed=draw(maybe(st.integers(0, 2**31))),
        stop=draw(STOPS),
        presence_penalty=draw(maybe(PENALTY)),
        frequency_penalty=draw(maybe(PENALTY)),
        logprobs=draw(maybe(st.booleans())),
        top_logprobs=draw(maybe(st.integers(0, 20))),
        output=draw(
            maybe(SCHEMAS.map(lambda s: OutputFormat("json_schema", s)) | st.just(OutputFormat("json")))
        ),
        reasoning=draw(maybe(st.sampled_from([Reasoning(mode="disabled"), Reasoning(mode="adaptive")]))),
        stream=draw(st.booleans()),
        include_usage=True,
        extra=draw(st.just({}) | st.just({"keep_alive": "5m", "options": {"num_ctx": 4096}})),
        extra_dialect="ollama",
    )


def _ollama_turn(words: str, pictures: list[str]) -> tuple[Part, ...]:
    return (Text(words), *(Image(data=data) for data in pictures))


@st.composite
def completions(draw: st.DrawFn) -> ChatRequest:
    """Legacy completions: one prompt."""
    likely = draw(maybe(st.integers(1, 5)))
    return ChatRequest(
        model="m",
        messages=(Message("user", (Text(draw(WORDS)),)),),
        seed=draw(maybe(st.integers(0, 2**31))),
        stop=draw(STOPS),
        n=draw(maybe(st.integers(1, 8))),
        presence_penalty=draw(maybe(PENALTY)),
        frequency_penalty=draw(maybe(PENALTY)),
        logprobs=True if likely else None,
        top_logprobs=likely,
        logit_bias=draw(
            maybe(st.dictionaries(st.integers(0, 9).map(str), st.integers(-100, 100), min_size=1))
        ),
        extra_dialect="openai_completions",
        **_shared(draw),
    )


DIALECTS: dict[str, Requests] = {
    "openai_chat": chat(),
    "openai_responses": responses(),
    "anthropic_messages": messages(),
    "gemini": gemini(),
    "ollama": ollama(),
    "openai_completions": completions(),
}
