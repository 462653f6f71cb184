"""Tools of this dialect that the client runs, though they are no functions: a shell, patches, a search for more tools.

Their calls and outputs are items of their own here; to every other vendor each is a function whose arguments say the same.
Source: OpenAI API reference, "Local shell", "Shell", "Apply patch" and "Tool search".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.model import Tool

DIALECT = "openai_responses"
_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer"}


@dataclass(frozen=True, slots=True)
class ClientTool:
    """One kind of tool: as a function, and how its call and output items say what a function's would.

    `told` and `asked` are the item's own fields of a call from and to the arguments; `heard` is an output's text.
    """

    type: str
    description: str
    parameters: Json
    asked: Callable[[Json], Json]
    told: Callable[[Json], Json]
    heard: Callable[[Json], str]
    answered: Callable[[str], Json]

    @property
    def call(self) -> str:
        """The type of its call's item."""
        return f"{self.type}_call"

    @property
    def output(self) -> str:
        """The type of its output's item."""
        return "tool_search_output" if self.type == "tool_search" else f"{self.call}_output"


def _parameters(required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required.split()}


def _inner(name: str) -> Callable[[Json], Json]:
    def read(item: Json) -> Json:
        value = item.get(name)
        return (
            {k: v for k, v in value.items() if v is not None and v != "exec"}
            if isinstance(value, dict)
            else {}
        )

    return read


def _arguments(item: Json) -> Json:
    value = item.get("arguments")
    if isinstance(value, str):
        value = read_object(value)
    return value if isinstance(value, dict) else {}


def read_object(text: str) -> Json:
    """Arguments as an object; empty for what is none."""
    try:
        value = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _plain_output(item: Json) -> str:
    value = item.get("output")
    words = (
        value if isinstance(value, str) else msgspec.json.encode(value).decode() if value is not None else ""
    )
    return words or str(item.get("status") or "")


def _shell_output(item: Json) -> str:
    """What each command wrote, and how it ended."""
    if not isinstance(chunks := item.get("output"), list):
        return _plain_output(item)
    told: list[str] = []
    for chunk in chunks:
        if isinstance(chunk, dict):
            outcome = chunk.get("outcome")
            ended = outcome if isinstance(outcome, dict) else {}
            end = f"exit code {ended['exit_code']}" if "exit_code" in ended else str(ended.get("type") or "")
            told.append(f"{chunk.get('stdout') or ''}{chunk.get('stderr') or ''}\n({end})")
    return "\n".join(told)


def _found(item: Json) -> str:
    names = [name for tool in item.get("tools") or () if isinstance(tool, dict) for name in _names(tool)]
    return f"These tools can be called now: {', '.join(names)}." if names else "No tool was found."


def _names(tool: Json) -> list[str]:
    name = str(tool.get("name") or tool.get("type") or "")
    if tool.get("type") != "namespace":
        return [name]
    return [
        f"{name}__{inner}"
        for one in tool.get("tools") or ()
        if isinstance(one, dict)
        for inner in _names(one)
    ]


_TABLE = (
    ClientTool(
        "local_shell",
        "Run a command on the user's machine and get its output.",
        _parameters(
            "command",
            command={"type": "array", "items": _TEXT, "description": "The program and its arguments."},
            working_directory=_TEXT,
            timeout_ms=_COUNT,
            env={"type": "object", "additionalProperties": _TEXT},
        ),
        asked=_inner("action"),
        told=lambda arguments: {"action": {"type": "exec", "env": {}, "command": [], **arguments}},
        heard=_plain_output,
        answered=lambda text: {"output": text},
    ),
    ClientTool(
        "shell",
        "Run commands in a shell on the user's machine and get their output.",
        _parameters(
            "commands",
            commands={"type": "array", "items": _TEXT},
            timeout_ms=_COUNT,
            max_output_length=_COUNT,
        ),
        asked=_inner("action"),
        told=lambda arguments: {"action": {"commands": [], **arguments}},
        heard=_shell_output,
        answered=lambda text: {
            "output": [{"stdout": text, "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
        },
    ),
    ClientTool(
        "apply_patch",
        "Create, update or delete a file on the user's machine by a diff in the V4A format.",
        _parameters(
            "type path",
            type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            path=_TEXT,
            diff={"type": "string", "description": "The change; not of a file that is deleted."},
        ),
        asked=_inner("operation"),
        told=lambda arguments: {"operation": arguments},
        heard=_plain_output,
        answered=lambda text: {"status": "completed", "output": text},
    ),
    ClientTool(
        "tool_search",
        "Search for tools that can be loaded, by words that say what they should do.",
        _parameters("query", query=_TEXT, limit=_COUNT),
        asked=_arguments,
        told=lambda arguments: {"execution": "client", "arguments": arguments},
        heard=_found,
        answered=lambda _text: {"status": "completed", "execution": "client", "tools": []},
    ),
)
_BY_TYPE = {tool.type: tool for tool in _TABLE}
BY_CALL = {tool.call: tool for tool in _TABLE}
BY_OUTPUT = {tool.output: tool for tool in _TABLE}


def client_tool(tool: Json) -> Tool | None:
    """The tool as a function, where the client runs it; None for any other."""
    kind = tool.get("type")
    known = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if known is None or not _is_clients(tool):
        return None
    parameters, description = tool.get("parameters"), tool.get("description")
    return Tool(
        known.type,
        description=description if isinstance(description, str) else known.description,
        parameters=parameters if isinstance(parameters, dict) else known.parameters,
        dialect=DIALECT,
        native=tool,
    )


def _is_clients(tool: Json) -> bool:
    """A search of tools is the vendor's unless it says otherwise, a shell the client's unless it is in a container."""
    if tool.get("type") == "tool_search":
        return tool.get("execution") == "client"
    place = tool.get("environment")
    return not (isinstance(place, dict) and str(place.get("type")).startswith("container"))


def clients_of(tools: Iterable[Tool]) -> dict[str, ClientTool]:
    """Those of a request's tools that are such, by name."""
    return {
        tool.name: _BY_TYPE[str(tool.native.get("type"))]
        for tool in tools
        if tool.native is not None and tool.dialect == DIALECT and tool.native.get("type") in _BY_TYPE
    }


def as_own_call(item: Json, clients: Mapping[str, ClientTool]) -> Json:
    """A `function_call` item as the item its tool has."""
    name = item.get("name")
    tool = clients.get(name) if isinstance(name, str) else None
    if tool is None or item.get("type") != "function_call":
        return item
    kept = {key: value for key, value in item.items() if key not in ("name", "arguments", "type")}
    return {"type": tool.call, **kept, **tool.told(read_object(item.get("arguments") or ""))}
