"""What goes on with a broken answer, how the two parts are joined, and what is no end of it."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.chat.delta import Finish, RefusalDelta, Start, StreamEvent, TextDelta
from intellirouter.chat.model import ChatRequest, OutputFormat
from intellirouter.inference.rescue.continuation import may_continue
from intellirouter.inference.rescue.ending import not_an_end, still_open
from intellirouter.inference.rescue.joint import joint
from intellirouter.inference.rescue.onward import Onward
from intellirouter.inference.rescue.opening import does_not_go_on
from intellirouter.inference.rescue.stitch import DoesNotGoOn

LIGHTHOUSE = (
    "The lighthouse at Eddystone was built four times. The first tower stood for five years before a storm took it, and "
    "the keepers with it. The second one was made of wood and burned, because the lantern set the roof on fire, and"
)


@pytest.mark.parametrize(
    ("said", "more", "joined"),
    [
        (
            "The window is still open.",
            "This answer goes on.",
            "The window is still open. This answer goes on.",
        ),
        ("The quick brown", "fox jumps", "The quick brown fox jumps"),
        ("It was unbeliev", "able to see", "It was unbelievable to see"),
        ("It was unbeliev", "unbelievable to see", "It was unbelievable to see"),
        ("then we re", "return it", "then we return it"),
        ("he did", "n't care", "he didn't care"),
        ("he didn", "'t care", "he didn't care"),
        ("one, two", ", three", "one, two, three"),
        ("one, two,", "three", "one, two, three"),
        ("costs 3.", "14 in all", "costs 3.14 in all"),
        ("at 12:", "30 sharp", "at 12:30 sharp"),
        ("see https://example.", "com/page", "see https://example.com/page"),
        ("the set (", "one of them)", "the set (one of them)"),
        ('She said "', 'come"', 'She said "come"'),
        ("38 39 40", "41 42", "38 39 40 41 42"),
        ("word38 word39", "word40", "word38 word39 word40"),
        ("word38 wor", "d39", "word38 word39"),
        ("word38 word", "39 word40", "word38 word39 word40"),
        ("the 3", "rd of May", "the 3rd of May"),
        ("about 40", "percent", "about 40 percent"),
        ("- one\n- two", "- three", "- one\n- two\n- three"),
        ("1. one\n2. two", "3. three", "1. one\n2. two\n3. three"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| 3 | 4 |", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"),
        ("it ends here.", "## Next", "it ends here.\n\n## Next"),
        ("紫色的大象在", "河边喝水。", "紫色的大象在河边喝水。"),
        ("富士山は日本で", "一番高い山です。", "富士山は日本で一番高い山です。"),
        ("เมืองหลวงของ", "ประเทศไทย", "เมืองหลวงของประเทศไทย"),
        ("```python\nreturn", "value", "```python\nreturn value"),
        ("```python\nself.na", "me = 1", "```python\nself.name = 1"),
        ("```js\nlet a = 1;", "let b = 2;", "```js\nlet a = 1;\nlet b = 2;"),
        ("```python\ndef f():", "return 1", "```python\ndef f():\n    return 1"),
        ('{"name": "Al', 'ice", "n": 1}', '{"name": "Alice", "n": 1}'),
        ('{"n": 12', "34}", '{"n": 1234}'),
        ('{"title": "The quick', 'brown fox"}', '{"title": "The quick brown fox"}'),
        ('{"id": "abc', 'def"}', '{"id": "abcdef"}'),
        ("ends with a blank ", " and one more", "ends with a blank and one more"),
        ("a line\n", "    indented", "a line\n    indented"),
        ("ein Wort und das", "nächste", "ein Wort und das nächste"),
        ("```python\nprint(1)\n", "```python\nprint(2)\n", "```python\nprint(1)\nprint(2)\n"),
        ("it goes on", "... and on", "it goes on and on"),
    ],
)
def test_the_joint_is_mended_at_the_border_of_words(said: str, more: str, joined: str) -> None:
    glue, rest = joint(said, more)
    assert said + glue + rest == joined


@pytest.mark.parametrize(
    "head",
    [
        "I'm sorry, but I can't help with that request.",
        "I cannot continue this text.",
        "I am unable to continue the previous answer.",
        "As an AI language model, I do not have access to it.",
        "Sure! Here is the rest of the text you asked for.",
        "It seems like your message was cut off. Could you provide more?",
        "Could you please clarify what you would like me to continue?",
        "Es tut mir leid, dabei kann ich nicht helfen.",
        "Je suis désolé, mais je ne peux pas continuer.",
        "Lo siento, no puedo continuar con eso.",
        "抱歉，我无法继续。",
        "申し訳ありませんが、続けることはできません。",
        "Bananas are a yellow fruit that people grow in tropical countries and ship in containers.",
        "At Eddystone the lighthouse was built four times. The first tower stood for five years before the sea came.",
        "The first tower stood for five years before a storm took it, as we have seen, and then",
    ],
)
def test_what_does_not_go_on_is_seen_at_its_beginning(head: str) -> None:
    assert does_not_go_on(LIGHTHOUSE, head, "Tell me of the lighthouse at Eddystone.")


@pytest.mark.parametrize(
    ("said", "head"),
    [
        (
            "大象是陆地上最大的动物，它们生活在非洲和亚洲的森林里，",
            "大象是地上最大的一种动物，它们都生活在非洲和亚洲的森林之中。",
        ),
        ('{"name": "Alice", "age": 30, "city": "Par', '{"name": "Alicia", "age": 31, "city": "Rome"}'),
    ],
)
def test_what_is_told_again_is_seen_without_words_and_in_json(said: str, head: str) -> None:
    assert does_not_go_on(said, head, "")


@pytest.mark.parametrize(
    ("said", "head"),
    [
        (
            "大象是陆地上最大的动物，它们生活在非洲和亚洲的森林里，",
            "每天要喝很多的水，也要吃上百公斤的草和树叶。",
        ),
        (LIGHTHOUSE, "so the third was built of stone by John Smeaton, who took the oak for his model."),
        (LIGHTHOUSE, "Smeaton built the third of stone: a tower shaped like an oak, with dovetailed blocks."),
        ('She looked at him and said "', "I'm sorry, I can't help you with this. It is over.\""),
        (" ".join(f"word{i:02d}" for i in range(40)), " ".join(f"word{i:02d}" for i in range(40, 60))),
        ("1. Wash the potatoes.\n2. Peel the potatoes.\n", "3. Boil the potatoes.\n4. Mash the potatoes."),
        (
            "Der Turm wurde aus Holz gebaut, und die",
            "Laterne setzte das Dach in Brand, weil niemand sie bewachte.",
        ),
        ("```python\nfor a in b:\n    print(a)\n", "for a in b:\n    print(a + 1)\n"),
    ],
)
def test_what_goes_on_is_not_refused(said: str, head: str) -> None:
    assert does_not_go_on(said, head, "Tell me.") is None


@pytest.mark.parametrize(
    ("said", "more", "asked"),
    [
        (LIGHTHOUSE, "", ""),
        (LIGHTHOUSE, " so.", ""),
        (LIGHTHOUSE, " so the third was built of stone, because", ""),
        (LIGHTHOUSE, " so the third was built of stone by an engineer who had seen how", ""),
        ("Here is the code:\n```python\nprint(1)\n", "print(2)\nprint(3)\nprint(4)\n", ""),
        ('{"a": [1, 2, 3, ', "4, 5, 6, 7, 8, 9, 10]", ""),
        (
            "Here are five reasons to learn it:\n1. It is easy.\n2. It is",
            " well known.\n3. It is useful.",
            "",
        ),
        ("Here are five reasons:\n\n- It is easy.\n- It is", " well known.\n- It is useful.", ""),
        ("1. Rust is fast.\n2. Rust is", " safe to use.\n3. Rust is liked.", "List 10 facts about Rust."),
        ("1 2 3 4 5 6 7 8", " 9 10 11 12 13 14", "Count from 1 to 40."),
        ("He wrote (in the year of the great", " storm that took the whole tower.", ""),
        ("First do this.\n\n1. Wash it.\n2. Peel it.\n", "3. Boil it for long.\n4.", ""),
        (" ".join(f"word{i:02d}" for i in range(40)), " word40", ""),
    ],
)
def test_what_is_open_is_no_end(said: str, more: str, asked: str) -> None:
    assert not_an_end(said, more, asked)


@pytest.mark.parametrize(
    ("said", "more", "asked"),
    [
        (LIGHTHOUSE, " so the third was built of stone by John Smeaton.", ""),
        ("Here is the code:\n```python\nprint(1)\n", "print(2)\n```\n", ""),
        ("Here is the code:\n```python\nprint(1)\n", "```", ""),
        ('{"a": [1, 2, 3, ', "4]}", ""),
        ("Here are three reasons:\n1. It is easy.\n2. It is", " well known.\n3. It is useful.", ""),
        (
            " ".join(f"word{i:02d}" for i in range(40)),
            "".join(f" word{i:02d}" for i in range(40, 60)),
            "Say the words",
        ),
        ("1 2 3 4 5 6 7 8", " 9 10 11 12 13 14", "Count from 1 to 14."),
        ("紫色的大象在", "河边喝水，然后回家了。", ""),
        ('{"name": "Alice", "ag', 'e": 30, "city": "Rome"}', ""),
        (
            "大象是陆地上最大的动物，它们生活在非洲和亚洲的森林里，",
            "每天要喝很多的水，也要吃上百公斤的草和树叶。",
            "",
        ),
        ("She smiled :) and then", " she went home with all her friends.", ""),
    ],
)
def test_what_is_whole_may_end(said: str, more: str, asked: str) -> None:
    assert not_an_end(said, more, asked) is None


def test_an_open_sentence_counts_only_where_sentences_are_ended() -> None:
    assert still_open("no full stop is ever written here\nnor in this line of a poem", "") is None
    assert still_open("There is one here. And then there is not", "")


def told(*pieces: str, reason: str = "stop") -> list[StreamEvent]:
    return [
        StreamEvent((Start(),)),
        *(StreamEvent((TextDelta(piece),)) for piece in pieces),
        StreamEvent((Finish(reason),)),
    ]  # type: ignore[arg-type]


def read(onward: Onward, events: list[StreamEvent]) -> str:
    deltas = [delta for event in onward.take(events) for delta in event.deltas]
    deltas += onward.end()[0]
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def test_a_continuation_is_held_to_its_end() -> None:
    assert (
        read(Onward(LIGHTHOUSE, 0, ""), told("so the third", " was made of stone."))
        == " so the third was made of stone."
    )
    with pytest.raises(DoesNotGoOn, match="nothing was added"):
        read(Onward(LIGHTHOUSE, 0, ""), told())
    with pytest.raises(DoesNotGoOn, match="sentence"):
        read(Onward(LIGHTHOUSE, 0, ""), told("so the third was made of stone, and the"))
    with pytest.raises(DoesNotGoOn, match="refused"):
        Onward(LIGHTHOUSE, 0, "").take([StreamEvent((RefusalDelta("No."),))])
    with pytest.raises(DoesNotGoOn, match="content_filter"):
        read(Onward(LIGHTHOUSE, 0, ""), told("so the third was made of stone.", reason="content_filter"))


def test_what_was_cut_by_its_length_says_so_and_what_was_told_anew_to_its_end_is_whole() -> None:
    onward = Onward(LIGHTHOUSE, 0, "")
    onward.take(told("so the third was made of", reason="length"))
    assert [finish.reason for finish in onward.end()[1]] == ["length"]
    whole = LIGHTHOUSE.removesuffix(", and") + "."
    assert read(Onward(whole, 0, ""), told(whole)) == ""


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        ({}, True),
        ({"n": 1, "output": OutputFormat("text")}, True),
        ({"n": 2}, False),
        ({"output": OutputFormat("json_object")}, False),
        ({"logprobs": True}, False),
    ],
)
def test_only_one_answer_in_words_can_be_continued_by_another_model(asked: dict[str, Any], may: bool) -> None:
    assert may_continue(ChatRequest(model="m", messages=(), **asked)) is may
