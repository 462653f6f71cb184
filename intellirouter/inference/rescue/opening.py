"""Whether a text that should go on with an answer begins as one that does.

Three kinds do not: words about the request instead of the answer (a refusal, a greeting, a question back), the answer
told again in other words, and another subject. A likeness is judged by words in a row and in common; in doubt the text
goes on, and its end is judged too (`ending.py`).
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from intellirouter.inference.rescue.scripts import (
    FUNCTION_WORDS,
    SPACELESS,
    in_quotes,
    mid_sentence,
    place_of,
    words,
)

_ABOUT = re.compile(
    r"^[\W_]*(?:"
    r"(?:i[’']?m|i am|we are|we[’']re)\s+(?:very\s+|truly\s+|really\s+|so\s+)?(?:sorry|afraid|unable|not able)\b"
    r"|(?:i|we)\s+(?:can[’']?t|cannot|can not|won[’']?t|will not|am unable to|do not|don[’']?t|must decline)\b.{0,40}?"
    r"\b(?:help|assist|continue|comply|provide|fulfil|fulfill|do that|answer|complete|generate|write|create|discuss|share|"
    r"have|see|know|engage|support|respond|proceed)"
    r"|(?:my )?apologies\b|i apologi[sz]e|sorry[,!. ]|unfortunately,? (?:i|we)\b|as an? (?:ai|language model|assistant)\b"
    r"|(?:could|can|would|will) you (?:please )?(?:provide|clarify|share|tell|specify|give|send|confirm)"
    r"|please (?:provide|share|clarify|specify|let me know)|how (?:can|may) i (?:help|assist)|what would you like"
    r"|let me know (?:if|what|how)|i[’']?ll (?:continue|pick up|go on)|i will (?:continue|pick up)|continuing (?:from|where)"
    r"|\(?(?:continued|continuation)\b|(?:my|your|the) (?:previous|last) (?:answer|message|response)\b"
    r"|it (?:seems|looks|appears) (?:like |that |as )?(?:you|your|my|the (?:message|answer|response))"
    r"|there is nothing|i have nothing|nothing (?:more|else|further) to"
    r"|es tut mir leid|tut mir leid|entschuldigung|leider kann ich|ich kann (?:das|dir|ihnen|dabei|hier|nicht|leider)"
    r"|als (?:ki|sprachmodell)|je suis désolé|désolé|je ne peux pas|je suis dans l[’']incapacité|en tant qu[’']ia"
    r"|lo siento|lo lamento|no puedo (?:ayudar|continuar|proporcionar|cumplir|hacer)|como (?:modelo|una? ia)"
    r"|mi dispiace|non posso (?:aiut|continu|forn)|desculpe|sinto muito|lamento|não posso (?:ajud|continu|forn)"
    r"|извините|простите|к сожалению,? я|я не могу|как (?:ии|языковая)"
    r"|(?:很|非常)?抱歉|对不起|對不起|我(?:无法|無法|不能)|作为(?:一个)?(?:ai|人工智能)|作為(?:一個)?(?:ai|人工智慧)"
    r"|申し訳|すみません|ごめんなさい|恐れ入りますが|죄송|미안(?:하|합)|도와드릴 수 없"
    r"|عذرا|آسف|लेकिन मैं|क्षमा करें|maaf,|üzgünüm|przepraszam|het spijt me|sorry, maar"
    r")",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^[\W_]*(?:sure|of course|certainly|absolutely|okay|ok|alright|got it|understood|great|no problem|hello|hi|hey|"
    r"thank you|thanks|here(?:[’']s| is| are)|natürlich|gerne|hier ist|hallo|bien sûr|voici|bonjour|claro|por supuesto|"
    r"aquí|hola|certo|ecco|ciao|конечно|вот|好的|当然|當然|以下是|はい|もちろん|以下は|네|물론)(?=[\s,!.:：，。！、]|$)",
    re.IGNORECASE,
)
"""What begins an answer, but not in the middle of a sentence."""
_KEY = re.compile(r"(?:```\w*)?\s*[\[{\s]*[\[{]\s*(\"[^\"]{0,200}\")")
"""The first key or text of a JSON document."""
COMPARED = 12
"""Words of two beginnings that are held side by side."""
ALIKE = 0.7
RUN, RUN_OF_SIGNS = 6, 12
"""Words in a row, or signs of a script without spaces, that stand in the answer already: it is told again."""
SIGNS, SIGNS_PER_WORD = 2, 3
"""Of scripts without spaces two signs are looked up together, and three such pairs say as much as a word."""
FEW, MANY, ENOUGH_BEFORE = 5, 12, 15
"""Words with a meaning: so many of none in common make another subject, where a sentence is broken off, or anywhere."""


def does_not_go_on(said: str, head: str, asked: str) -> str | None:
    """Why `head`, the beginning of a continuation, does not go on from `said`; None where it may. `asked` is the request's text."""
    broken_off = mid_sentence(said)
    if not in_quotes(said):
        if (found := _ABOUT.match(head)) and found[0].strip().lower() not in said.lower():
            return "it speaks of the request instead"
        if broken_off and _PREAMBLE.match(head):
            return "it begins a new answer"
    place = place_of(said)
    if (
        place.startswith("json")
        and (key := _KEY.match(said))
        and (again := _KEY.match(head))
        and key[1] == again[1]
    ):
        return "it begins the JSON anew"
    if place == "prose":
        if _told_again(said, head):
            return "it tells the answer again in other words"
        if broken_off and head[:1].isupper() and another_subject(said, head, asked, FEW):
            return "it is about something else"
    return None


def another_subject(said: str, text: str, asked: str, enough: int) -> bool:
    """Whether a text with so many words that mean something shares none of them with what was said and asked."""
    new = meanings(text)
    signs = sum(len(stem) == SIGNS for stem in new)
    if len(new) - signs + signs / SIGNS_PER_WORD < enough:
        return False
    before = meanings(said) | meanings(asked)
    return len(before) >= ENOUGH_BEFORE and not new & before


def meanings(text: str) -> set[str]:
    """The stems of its words that mean something; of scripts without spaces, each two signs; of numbers, nothing."""
    found = {
        word.rstrip("0123456789")[:5]
        for word in words(text)
        if len(word) > 3 and not SPACELESS.search(word) and word not in FUNCTION_WORDS and word[0].isalpha()
    }
    signs = "".join(SPACELESS.findall(text))
    return {stem for stem in found if len(stem) > 2} | {signs[i : i + 2] for i in range(len(signs) - 1)}


def _told_again(said: str, head: str) -> bool:
    before, told = words(said), words(head)
    begins = told[:COMPARED]
    size = min(len(before), len(begins))
    counters = [{word for word in some if word[-1].isdigit()} for some in (before[:size], begins[:size])]
    if size >= FEW and counters[0] == counters[1]:  # else it counts on, in words that it uses each time
        likeness = _alike(before[:size], begins[:size])
        elsewhere = [
            _alike(before[i : i + size], begins[:size]) for i in range(3, min(len(before) - size, 40), 2)
        ]
        if likeness >= ALIKE > max(elsewhere, default=0.0):  # and it is no text that repeats itself
            return True
    signs, signs_before = SPACELESS.findall(head), SPACELESS.findall(said)
    if len(signs) >= RUN_OF_SIGNS:
        size = min(len(signs), len(signs_before), 3 * RUN_OF_SIGNS)
        if "".join(signs[:RUN_OF_SIGNS]) in "".join(signs_before):
            return True
        if size >= RUN_OF_SIGNS and _alike(signs_before[:size], signs[:size]) >= ALIKE:
            return True
    all_said = f" {' '.join(before)} "
    runs = [told[i : i + RUN] for i in range(len(told) - RUN)]  # the last word may not be whole
    return any(f" {' '.join(run)} " in all_said for run in runs)


def _alike(first: list[str], second: list[str]) -> float:
    """The share of words that two passages have in common, in the same order."""
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
