"""Whether a passage has to do with what was said at all. Pure functions, but for `Noise`, which keeps what it measured.

How near unrelated things are differs from model to model, and grows with a collection. So it is measured: questions that few
collections answer are asked of each, and what is no nearer than those are to it must share words with the query to count.
"""

from __future__ import annotations

import math
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

import numpy as np

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.lexical import telling
from intellirouter.vectors.index import Vectors

PROBES = (
    "Hello, how are you today?",
    "Tell me a joke.",
    "What is the capital of France?",
    "Who won the football match yesterday?",
    "What will the weather be like tomorrow?",
    "Write a poem about love.",
    "How do I cook pasta?",
    "Who is the president?",
    "What is the meaning of life?",
    "Translate this sentence into Spanish.",
    "Can you recommend a good film?",
    "How tall is Mount Everest?",
)
_SPREADS, _MOST_ABOVE = 3.0, 0.15
_SPREAD_OF_MEDIAN = 1.4826
"""From the median absolute deviation to a standard deviation."""
_KEPT, _SECONDS = 1_000, 10.0
_WORDS, _SIGNS = 0.6, 0.25
"""The share of a query's telling words, or pairs of signs, that a passage has where it counts for its words."""
_LONG = 6
"""Letters from which on a word says no more for being longer."""
_CHATTER = frozenset(
    "hi hello hey hiya howdy yo good morning afternoon evening night day thanks thank you thx ty much very so a lot ok okay fine "
    "great cool nice perfect awesome bye goodbye see later how are doing what s up sup there everyone all again yes no yeah yep "
    "nope sure lol haha cheers np yw welcome please helped help that for your hallo servus moin guten tag morgen abend danke schon vielen dank tschuss wie geht gehts es dir ihnen bitte "
    "das hat geholfen zusammen alles klar super prima ja nein bonjour salut merci beaucoup ca va parfait c est bonsoir au revoir oui non hola buenos dias tardes gracias adios que tal si ciao "
    "grazie mille buongiorno ola obrigado obrigada bom dia hej tack czesc dzieki merhaba tesekkurler привет здравствуйте спасибо "
    "пока да нет مرحبا شكرا سلام عليكم नमस्ते धन्यवाद".split()
)
_WHOLE = frozenset(
    "goodjob greatjob nicejob welldone goodwork goon whoareyou whatareyou whatcanyoudo howcanyouhelp howcanyouhelpme whatisyourname "
    "canyouhelpme areyouthere areyouabot areyouhuman ihaveaquestion quickquestion heyquickquestion werbistdu wasbistdu waskannstdu "
    "wieheißtdu kannstdumirhelfen machweiter weiter quiestu quiêtesvous quepeuxtufaire quieneres quepuedeshacer comotellamas chisei "
    "你是谁 你能做什么 あなたは誰ですか 누구세요 кто ты что ты умеешь "
    "你好 您好 谢谢 再见 嗨 早上好 晚上好 謝謝 你好吗 こんにちは こんばんは おはよう おはようございます ありがとう ありがとうございます さようなら "
    "안녕 안녕하세요 감사합니다 고마워요 สวัสดี สวัสดีครับ สวัสดีค่ะ ขอบคุณ ขอบคุณครับ".split()
)
_MOST_CHATTER = 12
_ALL = frozenset(
    map(
        terms.folded,
        "summarize summarise summary overview outline document documents file files text content contents page pages there here about "
        "please give me tell show everything all main points key contain contains say says know collection read have got some any "
        "zusammenfassung zusammenfassen fasse zusammen dokument dokumente datei inhalt überblick darin steht resume résume résumé "
        "das dem den der die ein eine mir bitte alle alles was steht le la les un une du des moi el los las por favor me il vous plaît "
        "resumen resumir documento fichier archivo riassunto riassumi".split(),
    )
)
_ALL_SIGNS = re.compile(r"总结|總結|概括|概述|摘要|文件|文档|要約|まとめ|概要|요약|문서|สรุป|सारांश|ملخص|لخص")


def is_chatter(query: str) -> bool:
    """A greeting, thanks or a nod: nothing to look up."""
    plain = terms.folded(query)
    words = "".join(char if char.isalnum() or terms.is_mark(char) else " " for char in plain).split()
    if not words or "".join(words) in _FOLDED_WHOLE:
        return True
    return len(words) <= _MOST_CHATTER and all(word in _FOLDED_CHATTER for word in words)


_FOLDED_CHATTER = frozenset(map(terms.folded, _CHATTER))
_FOLDED_WHOLE = frozenset(map(terms.folded, _WHOLE))


def asks_of_all(query: str) -> bool:
    """It names nothing that a passage could be about: it asks for whatever there is, as for a summary."""
    return all(word in _ALL for word in telling(query)) or _ALL_SIGNS.search(query) is not None


def shares_words(query: str, text: str) -> bool:
    """The text has most of what the query's words tell, whatever their endings."""
    wanted = [word for word in telling(query) if not (len(word) == 1 and word.isdigit())]
    if not wanted:  # nothing but a number or two, which stand anywhere: "What's 2+2?"
        return False
    held = set(terms.words(text))
    starts = tuple(held)

    def has(word: str) -> bool:
        stem = word.rstrip("*")
        if word in held or stem in held:
            return True
        stem = stem[: max(4, math.ceil(len(stem) * 0.75))]
        return len(stem) >= 4 and any(other.startswith(stem) for other in starts)

    least = _SIGNS if any(terms.is_run(word) for word in wanted) else _WORDS
    return sum(_tells(word) for word in wanted if has(word)) >= least * sum(map(_tells, wanted))


def _tells(word: str) -> int:
    """How much a word says: the short ones of any language hold it together, and the long ones name things."""
    return 1 if terms.is_run(word) else min(len(word.rstrip("*")), _LONG)


class Noise:
    """How near a collection is to what it has nothing to do with; measured again, at most every ten seconds, when it changed."""

    def __init__(self) -> None:
        self._probes: OrderedDict[str, Vectors] = OrderedDict()
        self._floors: OrderedDict[str, tuple[int, float, float]] = OrderedDict()

    async def floor(
        self,
        collection: str,
        epoch: int,
        model: str,
        embed: Callable[[Sequence[str]], Awaitable[Vectors]],
        nearest: Callable[[Vectors], Awaitable[float | None]],
    ) -> float:
        """The cosine that is above nearly all of what is unrelated. `nearest` gives the best cosine of a vector."""
        kept = self._floors.get(collection)
        now = time.monotonic()
        if kept is not None and (kept[0] == epoch or now - kept[1] < _SECONDS):
            return kept[2]
        if model not in self._probes:
            self._probes[model] = await embed(PROBES)
            while len(self._probes) > 8:
                self._probes.popitem(last=False)
        found = [
            score
            for vector in self._probes[model]
            if (score := await nearest(np.asarray(vector))) is not None
        ]
        floor = _above(found)
        self._floors[collection] = (epoch, now, floor)
        self._floors.move_to_end(collection)
        if len(self._floors) > _KEPT:
            self._floors.popitem(last=False)
        return floor


def _above(scores: Sequence[float]) -> float:
    """So many spreads above the middle; one probe that hits what the collection is about changes little."""
    if not scores:
        return 0.0
    middle = median(scores)
    spread = _SPREAD_OF_MEDIAN * median(abs(score - middle) for score in scores)
    return middle + min(_SPREADS * spread, _MOST_ABOVE)
