"""Bytes to text: by the mark at the start, by what the document or its sender says, as UTF-8, by a detector; or not at all.

The names of encodings mean what browsers take them for (WHATWG Encoding Standard): `gb2312` is GB 18030, `iso-8859-1` is
Windows-1252. The detector is Firefox's (chardetng), which does not know UTF-16 without a mark nor the encodings of DOS and of
old Macs; those are told by what the text looks like.
"""

from __future__ import annotations

import codecs
import importlib
import re
import unicodedata
from collections import Counter
from typing import Any

from intellirouter.bounds.charsets import text_codec
from intellirouter.errors import UnsupportedMediaType

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MEANT = {
    **dict.fromkeys(("ascii", "iso8859-1", "latin_1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "hz"), "gb18030"),
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
    "iso8859_11": "cp874",
    "utf-16": "utf-16-le",
}
_OTHER_NAMES = {
    "x-sjis": "cp932",
    "ks_c_5601-1987": "cp949",
    "iso-8859-8-i": "iso8859-8",
    "x-gbk": "gb18030",
    "ibm866": "cp866",
}
_EASTERN = frozenset(("gb18030", "big5hkscs", "cp932", "cp949", "euc_jp", "iso2022_jp"))
_LOOKED_AT = 64 << 10
"""Bytes a guess is made from."""
_DOS_AND_MAC = ("mac_roman", "cp850", "cp437", "cp852")
_ODD, _MOST_ODD = 0.25, 0.5
_PLAIN = frozenset("\t\n\r\f\u200b\u200c\u200d\u200e\u200f\u00ad\ufeff")
_BETWEEN_WORDS = frozenset("“”‘’„‚‹›«»–—…•·°§¶©®™€£¥¢¿¡±×÷½¼¾²³¹ªº´¨¸\u00a0")
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})|<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{2,40})""",
    re.IGNORECASE,
)


def codec_of(label: str) -> str | None:
    """Python's name of an encoding that a document or a sender calls so; None for one that is not known."""
    label = label.strip().lower()
    name = text_codec(_OTHER_NAMES.get(label, label))
    return None if name is None else _MEANT.get(name, name)


def declared_in(data: bytes) -> str:
    """What the first kilobyte of an HTML or XML document says of itself, or nothing (HTML Standard, 13.2.3.2)."""
    found = _DECLARED.search(data[:1024].replace(b"\0", b""))
    return (found[1] or found[2]).decode("ascii", "replace") if found else ""


def decode(data: bytes, declared: str = "") -> str:
    """The text. `declared` is an encoding by any name, believed where the bytes allow it.

    Raises `UnsupportedMediaType` for what is no text, and for text whose encoding cannot be told.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, errors="replace")
    said = codec_of(declared) if declared else None
    if said is not None and not said.startswith("utf-16") and b"\0" not in data[:4096]:
        text = _whole(data, said)
        if text is not None and (data.isascii() or said == "utf-8" or _whole(data, "utf-8") is None):
            return text
    if b"\0" not in data[:4096]:
        if (text := _whole(data, "utf-8")) is not None and not _escapes(data):
            return text
        if (text := _nearly(data)) is not None:
            return text
    if b"\0" in data[:4096]:
        if (text := _wide(data)) is None:
            raise UnsupportedMediaType("is a binary file of no known format")
        return text
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in data[:_LOOKED_AT])
    if controls * 50 > min(len(data), _LOOKED_AT):
        raise UnsupportedMediaType("is a binary file of no known format")
    name = _detected(data)
    if name not in _EASTERN and (text := _wide(data)) is not None:
        return text
    return _guessed(data, name)


def _whole(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeDecodeError, UnicodeError):
        return None


def _escapes(data: bytes) -> bool:
    """ISO-2022-JP is ASCII to whoever does not know its escapes."""
    return data.isascii() and b"\x1b$" in data


def _nearly(data: bytes) -> str | None:
    """UTF-8 with a byte broken here and there, as logs, cut files and those that were put together of two have it.

    What was written in another encoding is hardly ever good UTF-8 in two places of three.
    """
    text = data.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    good = sum(not char.isascii() for char in text) - broken
    if good < 2 or broken * 2 > good:
        return None
    return "\n".join(map(_line, data.split(b"\n"))) if broken else text


def _line(data: bytes) -> str:
    """A line of a file that several programs wrote into: all of it may be in the encoding of another one."""
    text = data.decode("utf-8", errors="replace")
    if "\ufffd" not in text or any(not char.isascii() and char != "\ufffd" for char in text):
        return text
    western = _whole(data, "cp1252")
    return text if western is None or _oddness(western) > _ODD else western


def _wide(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, where the bytes read in one order make a text and in the other none."""
    head = data[: _LOOKED_AT - _LOOKED_AT % 4]
    for unit, names in ((4, ("utf-32-le", "utf-32-be")), (2, ("utf-16-le", "utf-16-be"))):
        if len(data) % unit:
            continue
        likely = [
            (name, text) for name in names if (text := _whole(head, name)) is not None and _one_script(text)
        ]
        likely.sort(key=lambda one: -sum(char in " \n" for char in one[1]))
        if likely and (len(likely) == 1 or any(char in " \n" for char in likely[0][1])):
            return data.decode(likely[0][0], errors="replace")
    return None


def _one_script(text: str) -> bool:
    """It is of one script, or of those that go together, with spaces or points between its words."""
    if len(text) < 2 or any(
        unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs") and char not in _PLAIN for char in text
    ):
        return False
    scripts = Counter(_script(char) for char in text if char.isalpha())
    commonest = scripts.most_common(1)[0][0] if scripts else "LATIN"
    others = sum(count for name, count in scripts.items() if name not in (commonest, "LATIN", "EAST"))
    pointed = any(
        char in " \n\t.,;:!?()" or "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uff65"
        for char in text
    )
    pointed = pointed or (len(text) > 8 and all("\u4e00" <= char <= "\u9fff" for char in text))
    return pointed and others * 25 <= sum(scripts.values())


def _script(char: str) -> str:
    name = unicodedata.name(char, "").split(" ", 1)[0]
    return (
        "EAST"
        if name in ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "KATAKANA-HIRAGANA")
        else name
    )


def _detected(data: bytes) -> str:
    detector: Any = importlib.import_module("chardetng_py").EncodingDetector()
    detector.feed(data[:_LOOKED_AT], last=True)
    return codec_of(detector.guess(tld=None, allow_utf8=False)) or "cp1252"


def _guessed(data: bytes, name: str) -> str:
    text = _whole(data, name)
    if text is not None and name in _EASTERN and _scattered(text) and (western := _whole(data, "cp1252")):
        name, text = "cp1252", western
    if name == "cp1252":  # also what is said of whatever is not known
        text = _western(data, text)
    elif text is None and (cut := data.decode(name, errors="replace")).count("\ufffd") * 1000 <= len(cut):
        return cut
    if text is None or _oddness(text) > _MOST_ODD:
        raise UnsupportedMediaType(
            "is in an encoding that cannot be told: save it as UTF-8, or state it (?charset=windows-1251)"
        )
    return text


def _western(data: bytes, text: str | None) -> str | None:
    """Windows-1252, unless another encoding makes much better words of it; None where none makes any."""
    read = [found for name in _DOS_AND_MAC if (found := _whole(data, name)) is not None]
    best = min(read, key=_oddness)
    if text is None or _oddness(best) + _ODD <= _oddness(text):
        text = best
    foreign = sum(not char.isascii() for char in text[:_LOOKED_AT])
    return text if _oddness(text) <= _MOST_ODD and foreign * 3 <= min(len(text), _LOOKED_AT) else None


def _scattered(text: str) -> bool:
    """Eastern signs stand alone among other letters, as a micro or a degree does that is taken for half of one."""
    runs = re.findall(r"[\u3041-\uffef]+", text[:_LOOKED_AT])
    return bool(runs) and sum(map(len, runs)) < 1.5 * len(runs)


def _oddness(text: str) -> float:
    """The share of characters beyond ASCII that stand where nobody would write them: capitals and signs inside a word."""
    beyond = odd = 0
    for place, char in enumerate(text[:_LOOKED_AT]):
        if char.isascii():
            continue
        beyond += 1
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if char.isalpha():
            odd += (char.isupper() and before.islower()) or (
                char.isupper() and after.islower() and before.isalpha()
            )
        elif char in _BETWEEN_WORDS:
            between = before.isalpha() and after.isalpha()
            odd += (
                between and char not in "’\u00ad" and not (char == "·" and before in "lL" and after in "lL")
            )
        else:
            odd += 1
    return odd / beyond if beyond else 0.0
