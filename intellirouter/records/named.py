"""Whom and what a request names: its end user and its tags, by the words of every client that has some. One rule for budgets and record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MAX_NAME, MAX_TAGS, MAX_TAG = 256, 32, 128
TAG_HEADERS = ("x-litellm-tags", "x-intellirouter-tags")
SESSION_HEADERS = ("x-session-id", "x-litellm-session-id")


def bounded(text: str, most: int = MAX_NAME) -> str:
    """A stranger's word as we take it: without control characters, and not too long."""
    text = text[:most]
    return text if text.isprintable() else "".join(letter for letter in text if letter.isprintable())


def first(*values: object) -> str:
    """The first of them that says something."""
    return next((bounded(value) for value in values if isinstance(value, str) and value), "")


def user_of(user: object, metadata: object, safety_identifier: object) -> str:
    """The end user: `user`, else `metadata.user_id`, else OpenAI's `safety_identifier`; empty when none is named."""
    told = metadata.get("user_id") if isinstance(metadata, dict) else None
    return first(user, told, safety_identifier)


def tags_of(headers: Mapping[str, str], metadata: object, ours: Sequence[str] = ()) -> tuple[str, ...]:
    """Every tag once: of the headers, of `metadata.tags` (a list, or separated by commas), and ours."""
    found = [told for name in TAG_HEADERS if (told := headers.get(name)) is not None]
    listed: Any = metadata.get("tags") if isinstance(metadata, dict) else None
    if isinstance(listed, str):
        found.append(listed)
    told_one_by_one = (
        [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, (list, tuple)) else []
    )
    if not (found or told_one_by_one or ours):
        return ()
    return listed_tags(found, (*told_one_by_one, *ours))


def listed_tags(lists: Iterable[str], more: Iterable[str] = ()) -> tuple[str, ...]:
    """Every tag once, of lists separated by commas and of `more`, each of which is a tag."""
    found = [tag for told in lists for tag in told.split(",")]
    found += more
    tags = (bounded(tag.strip(), MAX_TAG) for tag in found)
    return tuple(dict.fromkeys(tag for tag in tags if tag))[:MAX_TAGS]
