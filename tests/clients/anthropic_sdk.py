"""`anthropic`."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens


def connect(url: str) -> anthropic.AsyncAnthropic:
    """The SDK, speaking to the Router at `url`."""
    return anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)


async def disconnect(sdk: anthropic.AsyncAnthropic) -> None:
    """Close its connections."""
    await sdk.close()


class Anthropic:
    """`client.messages`."""

    words = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}
    tells: dict[str, int | None] = {"cached": None, "written": None}

    def __init__(self, sdk: anthropic.AsyncAnthropic, model: str) -> None:
        self._client = sdk
        self._model = model
        self._messages: list[Any] = []
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
            content: list[Any] = [{"type": "text", "text": words}]
            if image:
                source = {"type": "base64", "media_type": "image/png", "data": PNG}
                content.insert(0, {"type": "image", "source": source})
            self._messages.append({"role": "user", "content": content})
        request: Any = {"model": self._model, "max_tokens": max_tokens or 1_000, "messages": self._messages}
        request["system"] = SYSTEM
        if tools:
            name, description, parameters = TOOL
            request["tools"] = [{"name": name, "description": description, "input_schema": parameters}]
        if schema:
            request["output_config"] = {"format": {"type": "json_schema", "schema": TOOL[2]}}
        if stream:
            async with self._client.messages.stream(**request) as events:
                text = "".join([piece async for piece in events.text_stream])
                answer: Any = await events.get_final_message()
            assert text == "".join(block.text for block in answer.content if block.type == "text")
        else:
            answer = await self._client.messages.create(**request)
        keep = {"__all__": {"parsed_output"}}
        blocks = answer.model_dump(exclude_none=True, exclude={"content": keep})["content"]
        self._messages.append({"role": "assistant", "content": blocks})
        called = [block for block in answer.content if block.type == "tool_use"]
        self._calls = [block.id for block in called]
        usage = answer.usage
        cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
        return Seen(
            text="".join(block.text for block in answer.content if block.type == "text"),
            calls=tuple((block.name, block.input) for block in called),
            finish=answer.stop_reason,
            model=answer.model,
            thought="".join(block.thinking for block in answer.content if block.type == "thinking"),
            tokens=Tokens(
                usage.input_tokens + (cached or 0) + (written or 0), usage.output_tokens, cached, written
            ),
        )

    def tell(self, *results: str) -> None:
        told = [
            {"type": "tool_result", "tool_use_id": call_id, "content": words}
            for call_id, words in zip(self._calls, results, strict=True)
        ]
        self._messages.append({"role": "user", "content": told})
