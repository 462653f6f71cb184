"""`google-genai`."""

from __future__ import annotations

import base64
from typing import Any

from google import genai
from google.genai import types

from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens


def connect(url: str) -> Any:
    """The SDK, speaking to the Router at `url`."""
    options = types.HttpOptions(base_url=url)
    return genai.Client(api_key="unused", http_options=options, vertexai=False).aio


async def disconnect(sdk: Any) -> None:
    """Close its connections."""
    await sdk.aclose()


class Google:
    """`client.aio.models`."""

    words = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP"}
    tells: dict[str, int | None] = {"cached": None, "thought": None}

    def __init__(self, sdk: Any, model: str) -> None:
        self._client = sdk
        self._model = model
        self._contents: list[Any] = []
        self._calls: list[types.FunctionCall] = []

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
            parts = [types.Part.from_text(text=words)]
            if image:
                parts.append(types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"))
            self._contents.append(types.Content(role="user", parts=parts))
        config = types.GenerateContentConfig(system_instruction=SYSTEM, max_output_tokens=max_tokens)
        if tools:
            name, description, parameters = TOOL
            function = types.FunctionDeclaration(
                name=name, description=description, parameters_json_schema=parameters
            )
            config.tools = [types.Tool(function_declarations=[function])]
        if schema:
            config.response_mime_type, config.response_json_schema = "application/json", TOOL[2]
        request: Any = {"model": self._model, "contents": self._contents, "config": config}
        if stream:
            chunks = [chunk async for chunk in await self._client.models.generate_content_stream(**request)]
        else:
            chunks = [await self._client.models.generate_content(**request)]
        parts = [part for chunk in chunks for part in _parts(chunk)]
        self._contents.append(types.Content(role="model", parts=parts))
        self._calls = [part.function_call for part in parts if part.function_call is not None]
        last: Any = chunks[-1]
        usage = last.usage_metadata
        return Seen(
            text="".join(part.text or "" for part in parts if not part.thought),
            calls=tuple((call.name or "", call.args) for call in self._calls),
            finish=last.candidates[0].finish_reason.value,
            model=last.model_version,
            thought="".join(part.text or "" for part in parts if part.thought),
            tokens=Tokens(
                usage.prompt_token_count,
                usage.candidates_token_count + (usage.thoughts_token_count or 0),
                cached=usage.cached_content_token_count,
                thought=usage.thoughts_token_count,
            ),
        )

    def tell(self, *results: str) -> None:
        told = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": words}
                )
            )
            for call, words in zip(self._calls, results, strict=True)
        ]
        self._contents.append(types.Content(role="user", parts=told))


def _parts(chunk: types.GenerateContentResponse) -> list[types.Part]:
    candidates = chunk.candidates or []
    content = candidates[0].content if candidates else None
    return [
        part
        for part in (content.parts if content else None) or []
        if part.text != "" or part.thought_signature
    ]
