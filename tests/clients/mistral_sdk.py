"""`mistralai`."""

from __future__ import annotations

import json
from typing import Any

from mistralai.client import Mistral as Sdk

from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens


def connect(url: str) -> Sdk:
    """The SDK, speaking to the Router at `url`."""
    return Sdk(api_key="unused", server_url=url)


async def disconnect(sdk: Sdk) -> None:
    """Close its connections."""
    await sdk.__aexit__(None, None, None)


class Mistral:
    """`client.chat`."""

    words = {"stop": "stop", "length": "length", "tools": "tool_calls"}
    tells: dict[str, int | None] = {}

    def __init__(self, sdk: Sdk, model: str) -> None:
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
                picture = {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"}
                content = [{"type": "text", "text": words}, picture]
            self._messages.append({"role": "user", "content": content})
        request: dict[str, Any] = {"model": self._model, "messages": self._messages}
        if tools:
            name, description, parameters = TOOL
            function = {"name": name, "description": description, "parameters": parameters}
            request["tools"] = [{"type": "function", "function": function}]
        if schema:
            wanted = {"name": "place", "schema": TOOL[2], "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": wanted}
        if max_tokens is not None:
            request["max_tokens"] = max_tokens
        return await (self._streamed(request) if stream else self._whole(request))

    async def _whole(self, request: dict[str, Any]) -> Seen:
        answer: Any = await self._client.chat.complete_async(**request)
        (choice,) = answer.choices
        message = choice.message
        self._messages.append(message)
        return _seen(answer, *_words(message.content), message.tool_calls or [], choice.finish_reason)

    async def _streamed(self, request: dict[str, Any]) -> Seen:
        text, thought, signature, calls, finish, last = "", "", None, [], "", None
        stream: Any = await self._client.chat.stream_async(**request)
        async for event in stream:
            for choice in event.data.choices:
                spoken, thinking = _words(choice.delta.content)
                for chunk in choice.delta.content if isinstance(choice.delta.content, list) else ():
                    signature = getattr(chunk, "signature", None) or signature
                text, thought = text + spoken, thought + thinking
                calls += choice.delta.tool_calls or []
                finish = choice.finish_reason or finish
            if event.data.usage:
                last = event.data
        content: Any = text
        if thought:
            whole = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
            content = [
                whole if signature is None else {**whole, "signature": signature},
                {"type": "text", "text": text},
            ]
        self._messages.append({"role": "assistant", "content": content, "tool_calls": calls or None})
        return _seen(last, text, thought, calls, finish)

    def tell(self, *results: str) -> None:
        last = self._messages[-1]
        calls = last["tool_calls"] if isinstance(last, dict) else last.tool_calls
        self._messages += [
            {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": words}
            for call, words in zip(calls, results, strict=True)
        ]


def _words(content: Any) -> tuple[str, str]:
    """What was said, and what was thought."""
    if not isinstance(content, list):
        return content or "", ""
    thought = "".join(piece.text for chunk in content if chunk.type == "thinking" for piece in chunk.thinking)
    return "".join(chunk.text for chunk in content if chunk.type == "text"), thought


def _seen(answer: Any, text: str, thought: str, calls: list[Any], finish: str) -> Seen:
    usage = answer.usage
    return Seen(
        text=text,
        calls=tuple((call.function.name, _arguments(call.function.arguments)) for call in calls),
        finish=finish,
        model=answer.model,
        thought=thought,
        tokens=Tokens(usage.prompt_tokens, usage.completion_tokens),
    )


def _arguments(given: Any) -> Any:
    return json.loads(given) if isinstance(given, str) else given
