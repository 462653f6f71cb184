"""One look at a conversation: most need nothing done, and it must cost next to nothing to see that.

A single pass over words, calls and results alone. Whatever else there is, or whatever may need a rule of `turns.py`, is left
to those rules, which look at everything; so a doubt here costs time and changes nothing.
"""

from __future__ import annotations

from intellirouter.chat.billing import BILLING
from intellirouter.chat.fit.parts import is_odd
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text, ToolCall, ToolResult

_ALIKE = ("user", "tool")
"""Turns of the user's side: whether another may follow is for the target to say."""
_STRICT = frozenset({"leading", "first"})


def nothing_to_do(messages: tuple[Message, ...], takes: Takes) -> bool:
    """True where the target takes the messages as they are."""
    waiting: set[str] = set()
    if len(messages) == 1 and messages[0].role == "user":
        return _is_plain(messages[0], waiting, takes)
    before = ""
    asked = False
    for message in messages:
        role = message.role
        if role == "tool" and _are_results(message, waiting, takes):
            before = role
            continue
        if waiting or role == "tool":
            return False
        if role == "user" and before not in _ALIKE:
            asked = True
        elif _follows(role, before, takes):
            asked = asked or role == "user"
        else:
            return False
        if not _is_plain(message, waiting, takes):
            return False
        before = role
    if before in ("system", "developer") and takes.systems != "anywhere":
        return False
    if before == "assistant":
        ends = not (takes.user_last or takes.prefix or takes.text == "visible")
    else:
        ends = before in ("tool", "user") or not takes.asks
    return ends and asked and not waiting


def calls_something(messages: tuple[Message, ...]) -> bool:
    """Whether there is a call among them."""
    return any(type(part) is ToolCall for message in messages for part in message.content)


def _follows(role: str, before: str, takes: Takes) -> bool:
    """Whether a turn of this role may stand after one of that."""
    if role in ("system", "developer"):
        return not before or takes.systems not in _STRICT
    if role == before:
        return not takes.alternates
    if role == "user":
        return before != "tool" or takes.results_then_user
    return before not in ("", "system", "developer") or not takes.user_first


def _is_plain(message: Message, waiting: set[str], takes: Takes) -> bool:
    """Words, and the assistant's calls, which then wait for their results."""
    content = message.content
    if len(content) == 1 and type(part := content[0]) is Text:  # most are this
        text = part.text
        return bool(text) and not text.isspace() and not text.startswith(BILLING)
    if not content:
        return False
    for part in content:
        if type(part) is Text:
            text = part.text
            if not text or text.isspace() or text.startswith(BILLING):
                return False
        elif type(part) is ToolCall and message.role == "assistant" and part.kind == "function":
            if takes.object_arguments and is_odd(part, takes):
                return False
            waiting.add(part.id)
        else:
            return False
    return len(content) == 1 or message.role == "assistant" or message.role == "user"


def _are_results(message: Message, waiting: set[str], takes: Takes) -> bool:
    """Results of calls that wait for them, in words."""
    for part in message.content:
        if type(part) is not ToolResult or part.call_id not in waiting or part.kind != "function":
            return False
        waiting.discard(part.call_id)
        for inner in part.content:
            if type(inner) is not Text or (takes.text != "any" and not inner.text.strip()):
                return False
    return bool(message.content)
