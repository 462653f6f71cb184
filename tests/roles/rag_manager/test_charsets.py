"""The encoding of a text: by its mark, by what is said of it, by what it looks like; never by a guess that makes no words."""

from __future__ import annotations

import pytest

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.parsing.charset import codec_of, decode
from intellirouter.roles.rag_manager.parsing.formats import parse

CHINESE = "这是一份关于保修的说明。水壶的保修期为三年，从购买之日起计算。"
TRADITIONAL = "這是一份關於保固的說明。水壺的保固期為三年，從購買之日起計算。"
JAPANESE = "富士山は日本一高い山です。ケトルの保証期間は購入日から三年間です。"
KOREAN = "이것은 보증에 관한 설명서입니다. 주전자의 보증 기간은 3년입니다."
RUSSIAN = "Гарантия на чайник составляет три года со дня покупки."
GREEK = "Η εγγύηση του βραστήρα είναι τρία χρόνια από την ημερομηνία αγοράς."
POLISH = "Gwarancja na czajnik wynosi trzy lata od daty zakupu. Żółć, łąka, źródło."
TURKISH = "Su ısıtıcısının garantisi satın alma tarihinden itibaren üç yıldır."
HEBREW = "האחריות על הקומקום היא שלוש שנים מיום הרכישה."
ARABIC = "ضمان الغلاية ثلاث سنوات من تاريخ الشراء."
THAI = "การรับประกันกาต้มน้ำคือสามปีนับจากวันที่ซื้อ"
GERMAN = "Die Garantie für den Kessel beträgt drei Jahre. Größe, Maß, Übung."


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        (CHINESE, "gbk gb18030 utf-16-le utf-16-be utf-32-le utf-8-sig"),
        (TRADITIONAL, "big5 utf-16-be"),
        (JAPANESE, "shift_jis euc_jp iso2022_jp utf-16-le"),
        (KOREAN, "euc_kr cp949 utf-16-le"),
        (RUSSIAN, "cp1251 koi8-r iso8859-5 cp866 utf-16-le utf-16-be"),
        (GREEK, "cp1253 iso8859-7"),
        (POLISH, "cp1250 iso8859-2"),
        (TURKISH, "cp1254"),
        (HEBREW, "cp1255"),
        (ARABIC, "cp1256 utf-16-le"),
        (THAI, "cp874 utf-8"),
        (GERMAN, "cp1252 mac-roman cp850 utf-16-le utf-16"),
        ("100 µm at 20 °C", "cp1252"),
        ("“The kettle” – it has three years’ warranty … and “more”", "cp1252"),
    ],
)
def test_the_text_comes_out_as_it_was_written(text: str, encodings: str) -> None:
    assert {name: decode(text.encode(name)) for name in encodings.split()} == dict.fromkeys(
        encodings.split(), text
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", f'<meta charset="big5"><p>{TRADITIONAL}</p>'.encode("big5")),
        ("a.html", f"<meta http-equiv=x content='text/html; charset=big5'><p>{TRADITIONAL}".encode("big5")),
        ("a.xml", f'<?xml version="1.0" encoding="Big5"?><a>{TRADITIONAL}</a>'.encode("big5")),
        ("a.html", f'<meta charset="iso-8859-1"><p>{TRADITIONAL}</p>'.encode()),  # which it is not
    ],
)
def test_a_page_is_believed_what_it_says_of_itself(name: str, data: bytes) -> None:
    _, blocks = parse(name, data)
    assert TRADITIONAL in "".join(block.text for block in blocks)


def test_whoever_sends_it_can_say_so() -> None:
    short = "Ёж".encode("koi8-r")
    assert parse("a.txt", short, "KOI8-R")[1][0].text == "Ёж"


@pytest.mark.parametrize("data", [bytes(range(256)), bytes(range(250, 0, -1)) * 3])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"binary|encoding"):
        decode(data)


def test_one_character_has_one_form() -> None:
    assert parse("a.txt", "e\u0301te\u0301".encode())[1][0].text == "été"


def test_a_stray_byte_does_not_hide_the_rest() -> None:
    data = "Der Schlüssel für Raum Ölberg hängt am ".encode() + "grünen Haken.".encode("cp1252")
    assert decode(data) == "Der Schlüssel für Raum Ölberg hängt am gr\ufffdnen Haken."


@pytest.mark.parametrize(
    "label", ["punycode", "idna", "undefined", "unicode_escape", "hex", "utf\0", "\udce9", "x" * 100_000]
)
def test_no_document_is_in_what_only_python_calls_an_encoding(label: str) -> None:
    assert codec_of(label) is None
    data = b"-" + b"kva" * 20_000  # a minute's work where it was taken for Punycode
    assert decode(data, label) == data.decode()
    assert parse(
        "a.html", b"<meta charset=%s>" % label[:40].replace("\0", "").encode("ascii", "replace") + data
    )
