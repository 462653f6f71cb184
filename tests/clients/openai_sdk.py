"""`openai`: Chat Completions and Responses."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens

_FORMAT = {"name": "place", "schema": TOOL[2], "strict": True}


def connect(url: str) -> openai.AsyncOpenAI:
    """The SDK, speaking to the Router at `url`."""
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)


async def disconnect(sdk: openai.AsyncOpenAI) -> None:
    """Close its connections."""
    await sdk.close()


class OpenAIChat:
    """`client.chat.completions`."""

    words = {"stop": "stop", "length": "length", "tools": "tool_calls"}
    tells: dict[str, int | None] = {"cached": None, "thought": None}

    def __init__(self, sdk: openai.AsyncOpenAI, model: str) -> None:
        self._client = sdk
        self._model = model
        self._messages: list[Any] = [{"role": "system", "content": SYSTEM}]

    async def ask(
        self,
        words: str | None,
        *,
        image: bool = False,
        tools: bool = False,
        schema: bool = False,
        max_tokens: int | None = None,
        stream: bool = False,
    ) -> Seen:
        if words is not None:
            content: Any = words
            if image:
                picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
                content = [{"type": "text", "text": words}, picture]
            self._messages.append({"role": "user", "content": content})
        request: dict[str, Any] = {"model": self._model, "messages": self._messages}
        if tools:
            name, description, parameters = TOOL
            function = {"name": name, "description": description, "parameters": parameters}
            request["tools"] = [{"type": "function", "function": function}]
        if schema:
            request["response_format"] = {"type": "json_schema", "json_schema": _FORMAT}
        if max_tokens is not None:
            request["max_completion_tokens"] = max_tokens
        if stream:
            request["stream_options"] = {"include_usage": True}
            answer = await self._streamed(request)
        else:
            answer = await self._client.chat.completions.create(**request)
        (choice,) = answer.choices
        message, usage = choice.message, answer.usage
        self._messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        read, wrote = usage.prompt_tokens_details, usage.completion_tokens_details
        return Seen(
            text=message.content or "",
            calls=tuple(
                (c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()
            ),
            finish=choice.finish_reason,
            model=answer.model,
            thought=getattr(message, "reasoning_content", None) or "",
            tokens=Tokens(
                usage.prompt_tokens,
                usage.completion_tokens,
                cached=read.cached_tokens if read else None,
                thought=wrote.reasoning_tokens if wrote else None,
            ),
        )

    async def _streamed(self, request: dict[str, Any]) -> Any:
        from_chunks: list[str] = []
        try:
            async with self._client.chat.completions.stream(**request) as events:
                async for event in events:
                    if event.type == "content.delta":
                        from_chunks.append(event.delta)
                answer = await events.get_final_completion()
        except openai.LengthFinishReasonError as cut:  # this helper's way to say so
            return cut.completion
        assert "".join(from_chunks) == (answer.choices[0].message.content or "")
        return answer

    def tell(self, *results: str) -> None:
        calls = self._messages[-1]["tool_calls"]
        self._messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": words}
            for call, words in zip(calls, results, strict=True)
        ]


class OpenAIResponses:
    """`client.responses`. Its counts are never absent."""

    words = {"stop": "completed", "length": "max_output_tokens", "tools": "completed"}
    tells = {"cached": 0, "written": 0, "thought": 0}

    def __init__(self, sdk: openai.AsyncOpenAI, model: str) -> None:
        self._client = sdk
        self._model = model
        self._items: list[Any] = []
        self._calls: list[str] = []

    async def ask(
        self,
        words: str | None,
        *,
        image: bool = False,
        tools: bool = False,
        schema: bool = False,
        max_tokens: int | None = None,
        stream: bool = False,
    ) -> Seen:
        if words is not None:
            content: list[Any] = [{"type": "input_text", "text": words}]
            if image:
                link = f"data:image/png;base64,{PNG}"
                content.append({"type": "input_image", "image_url": link, "detail": "auto"})
            self._items.append({"role": "user", "content": content})
        request: Any = {"model": self._model, "input": self._items, "instructions": SYSTEM, "store": False}
        if tools:
            name, description, parameters = TOOL
            function = {"name": name, "description": description, "parameters": parameters, "strict": True}
            request["tools"] = [{"type": "function", **function}]
        if schema:
            request["text"] = {"format": {"type": "json_schema", **_FORMAT}}
        if max_tokens is not None:
            request["max_output_tokens"] = max_tokens
        if stream:
            async with self._client.responses.stream(**request) as events:
                told = [event async for event in events]
            assert [event.sequence_number for event in told] == list(range(len(told)))
            answer: Any = told[-1].response  # type: ignore[union-attr]
        else:
            answer = await self._client.responses.create(**request)
        self._items += [
            item.model_dump(exclude_none=True, exclude={"parsed_arguments": True}) for item in answer.output
        ]
        for item in self._items:
            for part in item.get("content") or () if item.get("type") == "message" else ():
                part.pop("parsed", None)
        called = [item for item in answer.output if item.type == "function_call"]
        self._calls = [call.call_id for call in called]
        usage, details = answer.usage, answer.incomplete_details
        return Seen(
            text=answer.output_text,
            calls=tuple((call.name, json.loads(call.arguments)) for call in called),
            finish=details.reason if details else answer.status,
            model=answer.model,
            thought="".join(
                piece.text for item in answer.output if item.type == "reasoning" for piece in item.summary
            ),
            tokens=Tokens(
                usage.input_tokens,
                usage.output_tokens,
                cached=usage.input_tokens_details.cached_tokens,
                written=usage.input_tokens_details.cache_write_tokens,
                thought=usage.output_tokens_details.reasoning_tokens,
            ),
        )

    def tell(self, *results: str) -> None:
        self._items += [
            {"type": "function_call_output", "call_id": call_id, "output": words}
            for call_id, words in zip(self._calls, results, strict=True)
        ]
