"""What the person asked: the newest human turn, without what harnesses put around it; and what the request needs.

Agents send system reminders, tool results and whole files in the user's turn. Judged by them every request would look
hard, so they are left out. The work is bounded whatever is sent: the head and the tail of a long text are read.
"""

from __future__ import annotations

import re

import msgspec

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Audio, File, Image, Text

HEAD, TAIL = 2_048, 2_048
"""Characters read of the beginning and of the end of a question; what lies between is not."""
_SCANNED = 16_384
"""Characters of one turn that are searched for what harnesses add, at each end."""
_MAX_TURNS_BACK = 64
_HARNESS = re.compile(
    r"<(system-reminder|system_reminder|environment_details|environment_context|tool_result|function_results|"
    r"file_content|file_contents|file|files|document|documents|local-command-stdout|command-message|context|"
    r"attached_files|user_info|project_layout|open_and_recently_viewed_files|INSTRUCTIONS)\b[^>]{0,300}>"
    r"[^<]*+(?:<(?!/\1>)[^<]*+)*+(?:</\1>|\Z)",
    re.IGNORECASE,
)
_FENCE = re.compile(
    r"([`~])(?<![^\n].)(\1\1++)[^\n]*+\n(?:(?!\1\2)[^\n]*+\n)*+(?:\1\2[^\n]*$|[^\n]*\Z)",
    re.DOTALL | re.MULTILINE,
)
"""Begins with a letter that is searched for, and goes on by whole lines: a pattern that begins with a line is tried everywhere."""
_BACKTICKS = re.compile(r"\n(```++)[^\n]*+\n(?:(?!\1)[^\n]*+\n)*+(?:\1[^\n]*$|[^\n]*\Z)", re.MULTILINE)
"""The same where backticks alone make fences, and a line comes before each: it begins with what is found at once."""
_MAX_FENCES = 256
"""Blocks of one turn that are looked at, for each takes its time."""
_DUMP_LINES = 12
"""A fenced block of more lines is a file somebody pasted, and its first lines say what it is."""

_PLAIN: frozenset[type] = frozenset({Text})
_CAPABILITIES: dict[type, str] = {Image: "vision", Audio: "audio"}


class Question(msgspec.Struct, frozen=True):
    """`text` is what is judged; `length` the characters of the whole human turn; `turns` of the conversation so far."""

    text: str
    length: int
    turns: int = 1


def question_of(request: ChatRequest) -> Question:
    """The newest turn in which a person speaks."""
    messages = request.messages
    last = ""
    for message in messages[: -_MAX_TURNS_BACK - 1 : -1]:
        if message.role != "user":
            continue
        text = _joined(message.content)
        said = human(text)
        if said:
            return Question(cut(said), len(said), len(messages))
        last = last or text
    return Question(cut(last), len(last), len(messages))


def _joined(content: tuple[object, ...]) -> str:
    texts = [part.text for part in content if type(part) is Text]
    return texts[0] if len(texts) == 1 else "\n".join(texts)


def human(text: str) -> str:
    """`text` without what harnesses add, the inside of long fences shortened; stripped."""
    if len(text) > 2 * _SCANNED:
        text = text[:_SCANNED] + "\n" + text[-_SCANNED:]
    if "<" in text:
        text = _HARNESS.sub("", text)
    if "~" in text and "~~~" in text:  # one letter is found far sooner
        text = _FENCE.sub(_shortened, text, _MAX_FENCES)
    elif "`" in text and "```" in text:
        text = _BACKTICKS.sub(_shortened, "\n" + text, _MAX_FENCES)
    return text.strip()


def _shortened(match: re.Match[str]) -> str:
    block = match.group(0)
    before = block[: block[0] == "\n"]
    lines = block[len(before) :].split("\n", _DUMP_LINES + 1)
    return block if len(lines) <= _DUMP_LINES + 1 else before + "\n".join(lines[:3]) + "\n"


def cut(text: str) -> str:
    """The head and the tail of a long text."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


_NONE: frozenset[str] = frozenset()


def needs_of(request: ChatRequest) -> frozenset[str]:
    """The capabilities without which a target cannot serve the request at all, as the catalogue names them."""
    kinds = {type(part) for message in request.messages for part in message.content}
    if kinds <= _PLAIN and not request.tools and request.output is None:
        return _NONE
    found = {name for kind, name in _CAPABILITIES.items() if kind in kinds}
    if File in kinds and any(
        isinstance(part, File) and part.text is None
        for message in request.messages
        for part in message.content
    ):
        found.add("pdf")
    if request.tools:
        found.add("tools")
    if request.output is not None and request.output.kind == "json_schema":
        found.add("json_schema")
    return frozenset(found)
