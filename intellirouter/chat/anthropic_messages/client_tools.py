"""Tools of Anthropic's making that the client runs: its models know them by their type, others need their schema.

Source: Anthropic's guides to the bash, text editor, memory and computer use tools.
"""

from __future__ import annotations

from intellirouter.chat.fields import Json

_TEXT: Json = {"type": "string"}
_PLACE: Json = {"type": "array", "items": {"type": "integer"}}


def _known(description: str, required: str, **properties: Json) -> tuple[str, Json]:
    return description, {"type": "object", "properties": properties, "required": required.split()}


def _command(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


_TABLE = {
    "bash_": _known(
        "Run a command in a shell that persists on the user's machine.",
        "",
        command=_TEXT,
        restart={"type": "boolean", "description": "Restart the shell instead."},
    ),
    "text_editor_": _known(
        "View, create and edit text files on the user's machine.",
        "command path",
        command=_command("view", "create", "str_replace", "insert", "undo_edit"),
        path=_TEXT,
        file_text=_TEXT,
        old_str=_TEXT,
        new_str=_TEXT,
        insert_line={"type": "integer"},
        insert_text=_TEXT,
        view_range=_PLACE,
    ),
    "memory_": _known(
        "View and change files of a memory directory under /memories.",
        "command",
        command=_command("view", "create", "str_replace", "insert", "delete", "rename"),
        path=_TEXT,
        old_path=_TEXT,
        new_path=_TEXT,
        file_text=_TEXT,
        old_str=_TEXT,
        new_str=_TEXT,
        insert_line={"type": "integer"},
        insert_text=_TEXT,
        view_range=_PLACE,
    ),
    "computer_": _known(
        "Look at the user's screen and use the mouse and the keyboard.",
        "action",
        action=_TEXT,
        coordinate=_PLACE,
        start_coordinate=_PLACE,
        text=_TEXT,
        scroll_direction=_command("up", "down", "left", "right"),
        scroll_amount={"type": "integer"},
        duration={"type": "number"},
    ),
}


def as_function(kind: str) -> tuple[str, Json] | None:
    """Description and schema of the tool of this type; None for one that the vendor runs itself."""
    return next((known for start, known in _TABLE.items() if kind.startswith(start)), None)
