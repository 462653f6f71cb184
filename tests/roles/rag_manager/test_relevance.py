"""Nothing is found for a greeting or an unrelated question, in any script; what is asked for is, by meaning or by words."""

from __future__ import annotations

from pathlib import Path

import pytest

from intellirouter.config.schema.rag import RagSection
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.relevance import is_chatter
from intellirouter.roles.rag_manager.shape import EXACT, FOREIGN, LONG, NAMED, TOLD, alpha_for
from intellirouter.security.caller import Caller
from tests.servers.minilm import minilm

DOCUMENTS = {
    "warranty": "The warranty of the kettle is three years from the date of purchase.",
    "returns": "Returns are accepted within 30 days with the receipt.",
    "shipping": "Shipping within Germany takes two days and costs 4.90 euros.",
    "power": "The kettle needs 2200 watts at 230 volts.",
    "chinese": "水壶的保修期为三年，从购买之日起计算。",
    "chinese returns": "凭收据可在三十天内退货。",
    "japanese": "ケトルの保証期間は購入日から三年間です。",
    "thai": "การรับประกันกาต้มน้ำคือสามปี",
    "arabic": "الضمان على الغلاية ثلاث سنوات.",
    **{f"part {n}": f"Part KX-{n * 7919 % 9000 + 1000}-B, a valve of size {n % 9}." for n in range(60)},
}
NOTHING = (
    "hi", "Hello there!", "thanks a lot", "你好", "Danke schön!", "What is the capital of France?", "Who wrote Hamlet?", "What's 2+2?",
    "write a python function to sort a list", "今天天气怎么样？",
)  # fmt: skip
SOMETHING = {
    "How long is the warranty?": "warranty",
    "Do you ship to Germany?": "shipping",
    "How much electricity does it use?": "power",
    "Tell me about the warranty.\nAnd how long is it?": "warranty",
    "水壶的保修期多长？": "chinese",
    "可以退货吗？": "chinese returns",
    "ケトルの保証期間": "japanese",
    "การรับประกัน": "thai",
    "ضمان": "arabic",
    "ما هو ضمان الغلاية؟": "arabic",
    "Where is KX-5651-B?": "part 29",
}
OF_ALL = ("Summarize the document", "What is there?", "Fasse das Dokument zusammen", "总结一下这个文件")


async def test_what_is_unrelated_brings_nothing(tmp_path: Path) -> None:
    names = {}
    async with open_rag(RagSection(embedding_model_path=minilm(), embedding_threads=1), tmp_path) as service:
        await service.create("a", "docs")
        jobs = [await service.submit("a", "docs", name, text.encode()) for name, text in DOCUMENTS.items()]
        for job in jobs:
            await service.ended("a", job)
        names = {row["id"]: row["name"] for row in await service.documents("a", "docs")}

        async def first(query: str, mode: str = "fused") -> str | None:
            request = RetrievalRequest(query, ("docs",), 3, relevant=mode == "fused", mode=mode)
            found = await service.retrieve(request, Call(Caller(tenant="a"), "r"))
            return names[found.passages[0].document_id] if found.passages else None

        assert {query: await first(query) for query in NOTHING} == dict.fromkeys(NOTHING)
        assert {query: await first(query) for query in SOMETHING} == SOMETHING
        assert all([await first(query) for query in OF_ALL])
        assert await first("KX-5651-B", "lexical") == "part 29"
        assert await first("How long does the guarantee last?", "dense") == "warranty"


@pytest.mark.parametrize(
    "text",
    [
        "Hi!",
        "good morning",
        "Wie geht's?",
        "こんにちは",
        "Merci beaucoup",
        "привет",
        "👍",
        "ok thanks, bye",
        "Thanks, that helped!",
        "Danke, das hat geholfen!",
        "ok great, thank you very much for your help",
        "Merci, c'est parfait",
        "good job",
        "Who are you?",
        "Was kannst du?",
    ],
)
def test_chatter(text: str) -> None:
    assert is_chatter(text)


@pytest.mark.parametrize(
    "text",
    [
        "high",
        "thank-you page settings",
        "hello world program",
        "保修",
        "job",
        "good jobs for students",
        "who are you hiring?",
    ],
)
def test_no_chatter(text: str) -> None:
    assert not is_chatter(text)


@pytest.mark.parametrize(
    ("query", "exact"),
    [
        ("AB-12345", True),
        ("What does error 0x80070005 mean?", True),
        ("ORA-00942", True),
        ("max_body_bytes", True),
        ('the phrase "as is"', True),
        ("getElementById", True),
        ("--no-cache", True),
        ("10.0.3.17", True),
        ("libssl.so.3", True),
        ("How long is the warranty?", False),
        ("a read-only file and/or directory", False),
        ("Who are the authors?", False),
        ("“the quick brown fox”", True),
        ("Why has Python no “with” statement for this?", False),
        ("Why are some functions methods (e.g. of lists) and others not?", False),
        ("How are events handled while the program waits for I/O?", False),
        ("How do I reach the serial port RS232 from a script of mine on Windows?", False),
        ("What are UnicodeDecodeError and UnicodeEncodeError?", True),
    ],
)
def test_what_names_something_exactly_leans_to_words(query: str, exact: bool) -> None:
    assert (alpha_for(query, 0.7) == EXACT) is exact


@pytest.mark.parametrize(
    ("query", "weight"),
    [
        ("what the NATO treaty says", NAMED),
        ("what the treaty says", TOLD * 0.7),
        ("WHAT THE TREATY SAYS", TOLD * 0.7),
        ("many words that describe at some length how kettles, taps, pumps and valves are cleaned", LONG),
        ("What does the NATO treaty say?", 0.7),
        ("What does the NATO treaty say (of war?)\n", 0.7),
        ("NATO条約とは何ですか？", 0.7),
        ("Which of many words describe at some length how kettles, taps and pumps are cleaned?", 0.7),
    ],
)
def test_a_name_in_capitals_and_a_description_lean_to_words_a_little_and_a_question_does_not(
    query: str, weight: float
) -> None:
    assert alpha_for(query, 0.7) == weight
    assert alpha_for(query, 0.1) in (0.1, TOLD * 0.1)


def test_words_that_the_model_hardly_knows_count_for_more() -> None:
    query = "Welche Schriften gehören zum Handbuch?"
    assert alpha_for(query, 0.7, fluency=0.0) == FOREIGN
    assert FOREIGN < alpha_for(query, 0.7, fluency=0.5) < 0.7
    assert alpha_for(query, 0.2, fluency=0.0) == 0.2
    assert alpha_for("AB-12345", 0.7, fluency=0.0) == EXACT


def test_a_name_in_a_longer_question_counts_where_its_words_find_one_passage() -> None:
    query = "In which cupboard of the workshop is the spare part XK-4711-B stored at night?"
    assert alpha_for(query, 0.7, {"a": 30.0, "b": 9.0}) == EXACT
    assert alpha_for(query, 0.7, {"a": 30.0}) == EXACT
    assert alpha_for(query, 0.7, {"a": 10.0, "b": 9.0}) == 0.7
    assert alpha_for(query.replace("XK-4711-B", "ladder"), 0.7, {"a": 30.0}) != EXACT


@pytest.mark.parametrize(
    ("query", "weight"),
    [
        ("Why don't one-liners work on my DOS/Mac/VMS system?", NAMED),
        ("What is socket.ph?", NAMED),
        ("socket.ph", EXACT),
    ],
)
def test_what_looks_like_an_exact_name_of_a_question_counts_less_where_many_passages_match(
    query: str, weight: float
) -> None:
    assert alpha_for(query, 0.7, {"a": 10.0, "b": 6.0}) == weight
    assert alpha_for(query, 0.7, {"a": 10.0, "b": 5.0}) == EXACT
    assert alpha_for(query, 0.1, {"a": 10.0, "b": 6.0}) == 0.1
