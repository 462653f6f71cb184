"""Odd requests: good ones of every route, some of whose values are exchanged for what nobody expects."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any
from urllib.parse import quote

from intellirouter.app.api import api_document

SECRET = "MARK-OF-TENANT-A-7f3a"
WORDS: list[Any] = [
    None, True, 0, -1, 1e308, 2**70, 0.1, "", " ", "x", "m", "a" * 300, "a" * 70_000, "\0", "é\u202e\u200b", "../../etc/passwd", "%00",
    "{{ 7*7 }}", "${HOME}", "'; drop table x; --", "auto", "persona/x", "chain/x", [], {}, [[]], [None], {"": None}, ["x"] * 300,
    {"role": "user", "content": "hi"}, [{"role": "user", "content": "hi"}], [{"role": "tool"}], {"type": "object", "$ref": "http://127.0.0.1:9/x"},
    {"pattern": "^(a|a)*$"}, "2020-01-01", "1e999", "NaN", "http://169.254.169.254/", "file:///etc/passwd", "data:image/png;base64,AAAA",
]  # fmt: skip
FIELDS = (
    "model messages input prompt stream tools tool_choice response_format temperature max_tokens n stop user metadata persona "
    "conversation rag intellirouter name source format definition steps chain query collection collections top_k filters text texts "
    "documents file file_ids purpose variables version tags limit signal payload step cron key id scopes tenant models contents system"
).split()
QUERIES = [*FIELDS, "limit", "before", "after", "since", "by", "order"]
NAMES = [
    "x",
    "m",
    "kept",
    "a" * 300,
    "%00",
    "..",
    "é",
    "*",
    "a:b",
    "run_x",
    "0",
    "m:generateContent",
    "m:streamGenerateContent",
]
USER = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CHAIN = {
    "chain": {"name": "x"},
    "steps": [{"id": "s", "set": {"v": "'1'"}}, {"id": "t", "llm": {"model": "m", "prompt": "hi"}}],
}
CHAT = {
    "model": "m",
    "messages": USER,
    "max_tokens": 8,
    "tools": [TOOL],
    "conversation": "x",
    "metadata": {"a": "b"},
    "stream": False,
}
RESPONSE = {
    "model": "m",
    "input": "hi",
    "instructions": "be brief",
    "store": True,
    "previous_response_id": None,
}
GOOD: list[tuple[str, dict[str, Any]]] = [
    (r"chat/completions$", CHAT),
    (r"responses/input_tokens$|responses$", RESPONSE),
    (r"/v1/completions$", {"model": "m", "prompt": ["a", "b"], "max_tokens": 8}),
    (r"/v1/messages", {"model": "m", "max_tokens": 8, "messages": USER, "system": [{"type": "text", "text": "s"}]}),
    (r"/v1/embeddings$", {"model": "m", "input": ["a", "b"], "encoding_format": "base64"}),
    (r"/v1/feedback$", {"id": "c", "score": 0.5, "comment": "good"}),
    (r"/models/\{call\}$", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 8}}),
    (r"/api/chat$", {"model": "m", "messages": USER, "stream": False, "options": {"num_predict": 8}}),
    (r"/api/generate$", {"model": "m", "prompt": "hi", "stream": False}),
    (r"/api/embed", {"model": "m", "input": "hi", "prompt": "hi"}),
    (r"/admin/keys$", {"name": "made", "tenant": "b", "scopes": ["inference"], "models": ["m"], "budgets": {"day": 1.0}}),
    (r"/admin/keys/", {"requests_per_minute": 10, "models": ["m"]}),
    (r"/admin/users", {"name": "ada", "kind": "user", "tenant": "b", "teams": [], "roles": ["viewer"]}),
    (r"/admin/teams", {"name": "red", "title": "Red", "roles": ["viewer"]}),
    (r"/admin/features", {"enabled": True, "share": 0.5}),
    (r"/admin/guards/test$", {"text": "write to ada@example.org"}),
    (r"/admin/routing", {"prompt": "hi", "model": "auto", "group": "auto", "outcomes": [{"prompt": "p", "target": "p/m", "score": 1}]}),
    (r"/admin/settings$", {"settings": {"budgets": {"unknown_price": {"input": 1, "output": 1}}}, "dry_run": True}),
    (r"/admin/models$", {"name": "alias", "targets": ["p/m"]}),
    (r"/auth/", {"username": "ada", "password": "wrong", "refresh_token": "x"}),
    (r"/v1/chains/validate$|/v1/chains/\{name\}$", {"definition": CHAIN}),
    (r"/v1/chains/\{name\}/runs$", {"input": {}, "mode": "wait", "tags": {"a": "b"}}),
    (r"/v1/runs/", {"payload": {"approved": True}, "step": "s", "from_step": "s"}),
    (r"/v1/schedules/\{name\}$", {"chain": "x", "cron": "0 3 * * *", "input": {}}),
    (r"/rag/v1/collections$", {"name": "x", "chunk_tokens": 200}),
    (r"/rag/v1/embed$", {"texts": ["a", "b"]}),
    (r"/rag/v1/(retrieve|candidates)$", {"query": "coal", "collections": ["x"], "top_k": 3, "filters": {"type": "eq", "key": "a", "value": "b"}}),
    (r"/v1/vector_stores/\{store\}/search$", {"query": "coal", "max_num_results": 3}),
    (r"/v1/vector_stores", {"name": "s", "file_ids": ["file-x"], "file_id": "file-x", "attributes": {"a": 1}}),
    (r"^ChainEngine/Run$", {"chain": "x", "input": {}}),
    (r"^PersonaLayer/Resolve$", {"persona": "x", "variables": {"a": "b"}}),
    (r"/v1/personas/\{name\}/render$", {"variables": {"a": "b"}}),
    (r"/v1/personas", {"source": 'prompt = "be brief"', "version": 1}),
]  # fmt: skip


def operations() -> list[tuple[str, str, str]]:
    """`(role, method, path)` of every route of every role."""
    document = json.loads(api_document())
    return [
        (operation["tags"][0], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path != "/admin/shutdown"
    ]


def filled(path: str, pick: random.Random) -> str:
    """The path with odd names in it, and sometimes an odd query."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + quote(pick.choice(NAMES), safe="%:") + rest.partition("}")[2]
    if pick.random() < 0.2:
        value = quote(str(pick.choice(WORDS))[:400], safe="")
        path += f"?{pick.choice(QUERIES)}={value}"
    return path


def body(path: str, pick: random.Random) -> bytes:
    """A third good, a third with a value or three exchanged, a third of odd fields; one in twenty cut in the middle."""
    good = next((one for pattern, one in GOOD if re.search(pattern, path)), None)
    way = pick.random()
    if good is None or way > 0.66:
        document: Any = {name: pick.choice(WORDS) for name in pick.sample(FIELDS, pick.randint(0, 12))}
        if pick.random() < 0.5:
            document |= {"model": "m", "messages": USER, "input": "x", "prompt": "x"}
    else:
        document = copy.deepcopy(good)
        if way > 0.33:
            for _ in range(pick.randint(1, 3)):
                _exchange(document, pick)
    data = json.dumps(document).encode()
    return data[: len(data) // 2] if pick.random() < 0.05 else data


def _exchange(document: Any, pick: random.Random) -> None:
    """Put an odd value somewhere, at any depth."""
    at = document
    while isinstance(at, dict | list) and at:
        key = pick.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if isinstance(at[key], dict | list) and at[key] and pick.random() < 0.7:
            at = at[key]
            continue
        at[key] = copy.deepcopy(pick.choice(WORDS))
        return
