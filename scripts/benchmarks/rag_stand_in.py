"""A model that is none, for `scripts/bench rag --assist`: it rewrites and describes by rule, from what it is shown alone.

It knows nothing that a question or a document does not say. So it shows what the help costs in requests and time, and that wordings
which add nothing take nothing away; what a model's own knowledge of the language brings, it cannot show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.peers.contract import Call, Judgement
from intellirouter.roles.rag_manager.lexical import telling
from intellirouter.security.caller import Caller, Owner

MODEL = "stand-in/rules"
KINDS = ("multi_query", "hyde", "contexts", "summaries")
_SENTENCE = re.compile(r"[^.!?。！？]{20,300}[.!?。！？]")
_MOST = 8_000


class RulesModel:
    """`asked` counts the requests by what they are for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def complete(self, request: ChatRequest, _call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        system, user = (message.text for message in request.messages)
        if "other search queries" in system:
            kind, text = "multi_query", _wordings(user)
        elif "passage of about eighty words" in system:
            kind, text = "hyde", _statement(user)
        elif "Summarise" in system:
            kind, text = "summaries", " ".join(_sentences(user)[:4])
        else:
            kind, text = "contexts", _line(user)
        self.asked[kind] += 1
        return ChatResponse(id="1", model=MODEL, choices=(Choice(content=(Text(text or user[:200]),)),))

    def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """Nobody asks this of it, as nobody asks what follows."""
        raise NotImplementedError

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `stream`."""
        raise NotImplementedError

    async def caller_of(self, owner: Owner, call: Call) -> Caller:
        """See `stream`."""
        raise NotImplementedError

    async def judge(self, judged: Judgement, call: Call) -> int:
        """See `stream`."""
        raise NotImplementedError


def _wordings(query: str) -> str:
    """The telling words, the same the other way round, and the question as a statement."""
    words = telling(query)
    return "\n".join((" ".join(words), " ".join(reversed(words)), _statement(query)))


def _statement(query: str) -> str:
    words: Any = query.rstrip("?？ ").split()
    return " ".join(words[1:] if len(words) > 2 else words) + "."


def _line(shown: str) -> str:
    """The document's title and its first sentence."""
    title = shown.partition("\n")[0].removeprefix("Document: ")
    first = _sentences(shown.partition("It begins:\n")[2])[:1]
    return " ".join((title + ".", *first))


def _sentences(text: str) -> list[str]:
    return [" ".join(found.split()) for found in _SENTENCE.findall(text[:_MOST])]
