"""What a conversation asks now, as one question that stands alone: what retrieval looks for.

A question that leans on what was said before ("And how long is it?") goes with the user's questions it leans on. Whether it
does is told by its words: how it begins, what it points at, how little it names. It costs no model.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from intellirouter.chat.model import Message

_PHRASES = (
    "what about",
    "how about",
    "what if",
    "same for",
    "was ist mit",
    "wie sieht es mit",
    "et pour",
    "y para",
    "e per",
)
_CONNECTIVES = frozenset(
    "and but so or also then und aber oder auch dann et mais ou aussi alors y pero también tambien entonces ma però anche allora "
    "mas também então en maar ook och men eller а и но или тогда".split()
)
_POINTING = frozenset(
    "it its it's they them their theirs this that these those he him his she her hers there one ones former latter same such "
    "es er sie ihn ihm ihr ihre ihren dies diese dieser dieses davon dafür darüber damit dort dazu "
    "il elle ils elles lui leur cela ça celui celle ceux ello eso esto esa ese aquello él ella ellos ellas su sus "
    "esso essa questo questa quello quella isso isto ele ela eles elas он она оно они это этот эта его её ее их там".split()
)
_POINTING_SIGNS = (
    "它",
    "他",
    "她",
    "这",
    "那",
    "這",
    "其",
    "それ",
    "これ",
    "あれ",
    "その",
    "この",
    "그것",
    "이것",
    "그건",
    "이건",
    "มัน",
    "यह",
    "वह",
    "इस",
    "उस",
)
_BEGINNING_SIGNS = (
    "那么",
    "那",
    "还有",
    "還有",
    "以及",
    "而且",
    "では",
    "じゃあ",
    "それで",
    "また",
    "그럼",
    "그리고",
    "แล้ว",
    "और",
    "لكن",
    "وماذا",
    "وكم",
    "وهل",
)
_COURTESY = frozenset(
    "hi hello hey thanks thank you thx ty very so much a lot ok okay fine great perfect super cool nice good helped helpful that was yes no "
    "please bye danke schön dankeschön vielen dank prima alles klar das hat geholfen ja nein bitte merci beaucoup parfait c'est oui non "
    "gracias muchas perfecto sí grazie mille obrigado obrigada спасибо большое 谢谢 ありがとう 감사합니다 شكرا धन्यवाद ขอบคุณ".split()
)
_THANKS = frozenset(
    "thanks thank thx ty danke dankeschön merci gracias grazie obrigado obrigada спасибо 谢谢 ありがとう شكرا".split()
)
_OF_WHOM_IS_ASKED = (
    "who are you",
    "what are you",
    "what can you do",
    "what's your name",
    "wer bist du",
    "was bist du",
    "was kannst du",
    "qui es-tu",
)
"""Questions of small words that are about nothing said before."""
_SPANISH = frozenset("el los las un una cuál qué cuánto cuánta cuándo dónde quién cómo".split())
"""Beside one of them "es" is no German pronoun."""
_EXPLETIVE = frozenset("is are was were isn't aren't".split())
"""Before a "there" that points nowhere."""
_SMALL = frozenset(
    "a an the is are was were be do does did can could will would should may i you we me my your our to of in on at by for from "
    "with as any some since until time how what when where which who whom whose why much many long often far old big more less please tell exactly else details detail info information example examples explain "
    "der die das ein eine ist sind war wie was wann wo wer warum welche welcher welches viel viele lang lange länge oft seit bis mir bitte genau für "
    "von zu mit le la les un une est sont combien temps depuis jusqu'à quand où qui quoi pourquoi quel quelle de du des pour avec el los las una es son "
    "cuánto cuanto tiempo desde hasta cuándo cuando dónde donde quién quien qué que por para con il lo gli quanto come dove chi perché сколько когда "
    "где кто что почему как какой какая на до лет quanto tempo até hoe lang lange jak długo kiedy ile hur ne kadar كم متى لماذا كيف".split()
)
_PREPOSITIONS = frozenset(
    "for in with without at on about from within after before during für mit ohne bei nach vor pour avec sans dans para con sin "
    "per senza для без в с при после".split()
)
_MOST_ELLIPTIC = 2
"""A question of so few words, one of them small, has left out what it is about: "Any exceptions?", "Who pays?", "Hoe lang?"."""
_POINTING_LAST = frozenset("das die den dem dafür daran".split())
_FEW = 5
_LONG, _SHORT_SIGNS, _MOST_BACK, _MOST_CHARACTERS = 12, 7, 3, 2_000


def question(messages: Sequence[Message]) -> str:
    """The latest words of the user, behind those of the user's that they lean on."""
    said = [text for message in messages if message.role == "user" and (text := message.text.strip())]
    if not said:
        return ""
    parts = [said[-1]]
    before = [text for text in said[:-1] if not _is_courtesy(text)]
    if len(said[-1]) <= _MOST_CHARACTERS:
        for earlier in reversed(before[-_MOST_BACK:]):
            if not leans(parts[0]):
                break
            parts.insert(0, earlier[-_MOST_CHARACTERS:])
    return "\n".join(dict.fromkeys(parts))


def leans(text: str) -> bool:
    """Whether the text asks about something it does not name."""
    plain = text.casefold().strip()
    words = _words(plain)
    if not words:
        return True
    asks = plain.endswith(("?", "？", "؟"))
    if plain.startswith(_OF_WHOM_IS_ASKED) or (words[0] in _THANKS and not asks):
        return False
    if plain.startswith(_PHRASES) or words[0] in _CONNECTIVES:
        return True
    if not plain.isascii() and (plain.startswith(_BEGINNING_SIGNS) or _signs(plain)):
        return True
    if len(words) > _LONG:
        return False
    if asks and _elliptic(words):
        return True
    if words[-1] in _POINTING_LAST or (words[0] in _PREPOSITIONS and len(words) <= _FEW):
        return True
    points = any(
        word in _POINTING
        and not (word == "there" and before in _EXPLETIVE)
        and not (word == "es" and not _SPANISH.isdisjoint(words))
        for before, word in pairwise(("", *words))
    )
    return points or all(word in _SMALL for word in words)


def _is_courtesy(text: str) -> bool:
    return all(word in _COURTESY for word in _words(text.casefold()))


def _elliptic(words: Sequence[str]) -> bool:
    few = len(words) <= _MOST_ELLIPTIC and not any(map(_without_spaces, "".join(words)))
    return few and (len(words) == 1 or any(word in _SMALL for word in words))


def _words(text: str) -> list[str]:
    kept = (
        char if char.isalnum() or char == "'" or unicodedata.category(char)[0] == "M" else " "
        for char in text
    )
    return "".join(kept).split()


def _signs(text: str) -> bool:
    """Of a script without spaces: it points at something, or is too short to name anything."""
    letters = [char for char in text if char.isalpha()]
    dense = sum(map(_without_spaces, letters))
    if dense * 2 < len(letters):
        return any(f" {sign} " in f" {text} " for sign in _POINTING_SIGNS)
    return any(sign in text for sign in _POINTING_SIGNS) or len(letters) < _SHORT_SIGNS


def _without_spaces(char: str) -> bool:
    return "\u0e00" <= char <= "\u0eff" or "\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3"
