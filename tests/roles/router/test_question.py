"""A question that leans on what was said before goes with what it leans on; one that stands alone goes alone."""

from __future__ import annotations

import pytest

from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text
from intellirouter.roles.router.pipeline.course import with_context
from intellirouter.roles.router.pipeline.question import question

BEFORE = "Tell me about the warranty."


def asked(*said: str) -> str:
    return question(
        [Message("user" if place % 2 == 0 else "assistant", (Text(text),)) for place, text in enumerate(said)]
    )


@pytest.mark.parametrize(
    "follow_up",
    [
        "And how long is it?",
        "What about kettles?",
        "why?",
        "Any exceptions?",
        "Exceptions?",
        "Who pays?",
        "Since when?",
        "Seit wann?",
        "Combien de temps ?",
        "¿Por cuánto tiempo?",
        "Quanto tempo?",
        "Hoe lang?",
        "Jak długo?",
        "На сколько лет?",
        "كم المدة؟",
        "How long?",
        "Does it cover damage?",
        "for business customers?",
        "Tell me more",
        "more details please",
        "Und wie lange?",
        "Was kostet das?",
        "Et le prix ?",
        "¿Y cuánto cuesta?",
        "А сколько?",
        "那多长时间？",
        "それはいくらですか",
        "그건 얼마예요?",
        "มันนานแค่ไหน",
    ],
)
def test_a_follow_up_goes_with_its_question(follow_up: str) -> None:
    assert asked(BEFORE, "Three years.", follow_up) == f"{BEFORE}\n{follow_up}"


@pytest.mark.parametrize(
    "alone",
    [
        "What is the capital of France?",
        "How long is the warranty?",
        "shipping costs",
        "Opening hours?",
        "Thanks, that helped!",
        "Who are you?",
        "Is there a fee for parcels?",
        "Combien coûte la livraison en Allemagne ?",
        "¿Cuál es el horario y el precio?",
        "thanks",
        "Wie lange ist die Garantie?",
        "水壶的保修期多长？",
        "Which laws govern contracts between two companies in the north of the country, and who enforces that?",
    ],
)
def test_a_question_that_stands_alone_goes_alone(alone: str) -> None:
    assert asked(BEFORE, "Three years.", alone) == alone


def test_a_chain_of_follow_ups_reaches_back_to_what_they_are_about() -> None:
    assert (
        asked(BEFORE, "Three years.", "And for kettles?", "Two.", "Why?")
        == f"{BEFORE}\nAnd for kettles?\nWhy?"
    )
    assert asked(BEFORE, "Three years.", "Thanks!", "You're welcome.", "And how is it claimed?") == (
        f"{BEFORE}\nAnd how is it claimed?"
    )
    assert asked("Why?") == "Why?"
    assert asked() == ""


@pytest.mark.parametrize(
    ("roles", "wanted"),
    [
        ("user", "user+"),
        ("user assistant user", "user assistant user+"),
        ("user assistant tool", "user+ assistant tool"),
        ("user user assistant tool tool", "user user+ assistant tool tool"),
        ("system", "system user+"),
        ("system assistant", "system assistant user+"),
    ],
)
def test_what_was_found_stands_before_the_last_words_of_the_user(roles: str, wanted: str) -> None:
    """What stands before it stays the same for the provider's prefix cache."""
    turns = with_context(tuple(Message(role, (Text("said"),)) for role in roles.split()), "FOUND")  # type: ignore[arg-type]
    shown = [turn.role + "+" * turn.text.startswith("FOUND") for turn in turns]
    assert shown == wanted.split()
