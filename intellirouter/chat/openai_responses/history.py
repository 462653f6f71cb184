"""A conversation that goes on from a kept response: its items, as they are asked again and as they are listed.

An item of a kept answer goes out again without its id, which no vendor knows, since we ask them to keep nothing; a
thought of OpenAI's without its encrypted words is such an id and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.errors import InvalidRequest

OWN_SEARCH = "fs_ir"
"""How the id of a `file_search_call` begins that this installation served: no vendor knows it."""


def is_own_search(item: Json) -> bool:
    """An item that says what we looked up: nothing a model is told again."""
    return item.get("type") == "file_search_call" and str(item.get("id")).startswith(OWN_SEARCH)


def input_items(body: Json) -> list[Json]:
    """The `input` of a request as items."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return fields.objects(body, "input")


def again(output: Iterable[Any]) -> list[Json]:
    """Items of an answer as the next request says them."""
    return [
        {key: value for key, value in item.items() if key != "id" or item.get("type") == "reasoning"}
        for item in output
        if isinstance(item, dict)
        and not is_own_search(item)
        and not (item.get("type") == "reasoning" and not item.get("encrypted_content"))
    ]


def listed(asked: list[Json], response_id: str) -> list[Json]:
    """Items of a request as they are listed: each with its type, an id and a status; words as parts."""
    return [_listed(item, f"{response_id.removeprefix('resp_')}_{place}") for place, item in enumerate(asked)]


def _listed(item: Json, stem: str) -> Json:
    kind = item.get("type") or "message"
    prefix = {"message": "msg", "reasoning": "rs"}.get(kind, "item")
    shown: Json = {"id": f"{prefix}_{stem}", "type": kind, **item}
    if kind != "reasoning":
        shown.setdefault("status", "completed")
    if kind == "message":
        answer = item.get("role") == "assistant"
        content = item.get("content")
        parts = [{"text": content}] if isinstance(content, str) else content
        shown["content"] = [_part(part, answer) for part in parts or () if isinstance(part, dict)]
    return shown


def _part(part: Json, answer: bool) -> Json:
    shown = {"type": "output_text" if answer else "input_text", **part}
    if shown["type"] == "output_text":
        shown.setdefault("annotations", [])
        shown.setdefault("logprobs", [])
    if shown["type"] == "input_image":
        shown.setdefault("detail", "auto")
    return shown


def page(items: list[Json], after: str | None, limit: int, newest_first: bool) -> Json:
    """One page of items. Raises `InvalidRequest` for an item to go on from that is not there."""
    ordered = items[::-1] if newest_first else items
    if after is not None:
        place = next((place for place, item in enumerate(ordered) if item["id"] == after), None)
        if place is None:
            raise InvalidRequest(f"There is no item '{after[:128]}' to list after.", param="after")
        ordered = ordered[place + 1 :]
    shown = ordered[:limit]
    ends = (
        {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": "", "last_id": ""}
    )
    return {"object": "list", "data": shown, "has_more": len(ordered) > limit, **ends}
