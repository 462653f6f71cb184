"""`ollama`."""

from __future__ import annotations

from typing import Any

import ollama

from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens


def connect(url: str) -> ollama.AsyncClient:
    """The SDK, speaking to the Router at `url`."""
    return ollama.AsyncClient(host=url)


async def disconnect(sdk: ollama.AsyncClient) -> None:
    """Close its connections."""
    await sdk.close()


class Ollama:
    """`client.chat`."""

    words = {"stop": "stop", "length": "length", "tools": "stop"}
    tells: dict[str, int | None] = {}

    def __init__(self, sdk: ollama.AsyncClient, model: str) -> None:
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
            message: dict[str, Any] = {"role": "user", "content": words}
            self._messages.append({**message, "images": [PNG]} if image else message)
        name, description, parameters = TOOL
        function = {"name": name, "description": description, "parameters": parameters}
        request: Any = {"messages": self._messages, "stream": stream}
        request["tools"] = [{"type": "function", "function": function}] if tools else []
        request["format"] = TOOL[2] if schema else None
        request["options"] = {"num_predict": max_tokens} if max_tokens is not None else None
        answer: Any = await self._client.chat(self._model, **request)
        pieces = [piece async for piece in answer] if stream else [answer]
        text = "".join(piece.message.content or "" for piece in pieces)
        thought = "".join(piece.message.thinking or "" for piece in pieces)
        calls = [call for piece in pieces for call in piece.message.tool_calls or ()]
        last = pieces[-1]
        assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        self._messages.append(
            {
                "role": "assistant",
                "content": text,
                "thinking": thought or None,
                "tool_calls": [call.model_dump() for call in calls] or None,
            }
        )
        return Seen(
            text=text,
            calls=tuple((call.function.name, dict(call.function.arguments)) for call in calls),
            finish=last.done_reason,
            model=last.model,
            thought=thought,
            tokens=Tokens(last.prompt_eval_count, last.eval_count),
        )

    def tell(self, *results: str) -> None:
        calls = self._messages[-1]["tool_calls"]
        self._messages += [
            {"role": "tool", "tool_name": call["function"]["name"], "content": words}
            for call, words in zip(calls, results, strict=True)
        ]
