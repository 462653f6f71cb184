"""Words that are meant for the model and not for a reader: known phrases that tell it to forget what it was told.

Looked at is what the text says plainly, and what it says when it is folded (look-alike letters, invisible characters, spaced
letters, digits for letters) or decoded (base64, hexadecimal, percent and HTML escapes). The phrases are those of published
attacks; a model that was trained for it finds more (see the `classifier` and `webhook` guards).
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from intellirouter.guards.finding import Finding
from intellirouter.guards.folding import Folded, spaced
from intellirouter.guards.scan import Scan, Signs, windows

INJECTION = "injection"
_WHAT = (
    r"(?:(?:your|the|these|those|any|all|my|of|prior|previous|preceding|above|earlier|existing|original|initial|system|safety|foregoing|given|"
    r"other|current|every|before|ethical|content) ){0,5}(?:instruction|prompt|rule|guideline|directive|direction|command|context|guardrail|restriction|"
    r"polic(?:y|ies)|constraint|programming|training|message|order|filter|task|text)s?"
)
_PHRASES: tuple[tuple[tuple[str, ...], str], ...] = (
    (('ignor', 'disregard', 'forget', 'overrid', 'overrul', 'bypass', 'skip', 'neglect', 'discard', 'circumvent', 'not follow', 'not obey', "n't follow", "n't obey", 't follow', 't obey', 'stop following', 'stop obeying', 'no attention', 'set aside', 'abandon', 'violate'),
     rf"(?:ignore|disregard|forget|override|overrule|bypass|skip|neglect|discard|circumvent|do not (?:follow|obey)|don'?t (?:follow|obey)|stop (?:following|obeying)|"
    rf"pay no attention to|set aside|abandon|violate) (?:everything in )?{_WHAT}"),
    (("ignore", "disregard", "forget"),
     r"(?:ignore|disregard|forget) (?:all |absolutely )?(?:everything|anything|all|what) (?:that )?(?:you (?:were|have been|ve been|know|are)|i (?:said|told)|was said|above|before|prior|previous|written|so far)"),
    (("ignore", "disregard", "forget"),
     r"(?:ignore|disregard|forget) (?:all|everything|anything)? ?(?:of )?(?:the )?(?:above|foregoing|preceding|previous(?:ly)?|aforementioned)"),
    (("system prompt", "system message", "hidden prompt", "hidden instruction", "initial prompt", "initial instruction", "secret prompt", "secret instruction", "developer message", "original instruction", "preprompt", "pre prompt", "instructions above", "instructions verbatim", "instruction above"),
     r"(?:reveal|print|show|output|repeat|display|leak|expose|disclose|dump|tell me|give me|what (?:is|are|was)|write out|recite|summari[sz]e|translate) (?:\w+ ){0,3}"
    r"(?:your|the) (?:\w+ ){0,2}(?:system prompt|system message|hidden (?:prompt|instructions?)|initial (?:prompt|instructions?)|secret (?:prompt|instructions?)|developer message|original instructions?|pre ?prompt|instructions? (?:above|verbatim))"),
    (("repeat everything", "repeat all", "repeat the words", "repeat the text"),
     r"repeat (?:everything|all|the (?:words|text)) (?:\w+ ){0,3}above"),
    (("dan", "developer mode", "jailbr", "god mode", "evil ", "stan", "unrestricted", "unfiltered", "debug mode", "admin mode", "sudo mode", "dude", "aim mode"),
     r"(?:you are|you re|act as|pretend (?:to be|you are)|behave as|become|switch (?:to|into)|enable|enter|activate) (?:\w+ ){0,5}(?:dan|developer mode|jailbr(?:eak|oken)|god mode|evil (?:\w+ )?(?:bot|ai|assistant)|stan|unrestricted (?:\w+ )?(?:ai|mode|assistant|model)|unfiltered|debug mode|admin mode|sudo mode|dude|aim mode)"),
    (("do anything now",),
     r"do anything now"),
    (('restriction', 'guideline', 'limits', 'limitation', 'constraint', 'filters', 'rules', 'polic'),
     r"(?:without|no|free (?:of|from)|have no|with no) (?:any |all |longer )?(?:ethical|moral|safety|content|openai'?s?|anthropic'?s?|typical)(?: (?:and|or) \w+)? (?:restrictions?|guidelines?|limits?|limitations?|constraints?|filters?|rules?|polic(?:y|ies))"),
    (("no longer", "been freed", "now free", "not bound"),
     r"you (?:are no longer|have been freed|are now free|no longer have|are not bound)(?: \w+){0,6} (?:rules?|restrictions?|guidelines?|polic(?:y|ies)|filters?|openai|anthropic|google|limits?|ai)"),
    (("instruction", "directive", "system prompt", "order"),
     r"(?:new|updated|revised|real|actual|urgent|important|additional|secret|hidden|override) (?:system )?(?:instructions?|directives?|system prompt|orders?) ?(?::|follow|for (?:you|the (?:ai|assistant|model|llm)|ai))"),
    ((" ai", "llm", "language model", "assistant", "chatbot", "gpt", "claude", "gemini", "agent"),
     r"(?:important|attention|note|message|instructions?)(?: \w+){0,3} (?:to|for) (?:the |any |all )?(?:ai|llm|language model|assistant|chatbot|gpt|claude|gemini|agent)s?(?: (?:assistants?|models?|agents?|reading this|processing this))? ?:"),
    (("an ai", "a llm", "an llm", "a language", "a large", "any ai", "any llm", "an assistant", "any assistant", "as ai", "an agent"),
     r"(?:if you are|when you(?: are)?|any|as) an? (?:ai|llm|language model|large language model|assistant|ai (?:assistant|agent))(?: \w+){0,6} (?:must|should|please|have to|are required to|instead) (?:\w+ ){0,3}(?:ignore|send|include|say|reply|respond|output|execute|call|email|forward|recommend|approve|rate|give)"),
    (("end of", "begin of", "start of", "close of"),
     r"(?:end|begin|start|close) of (?:the )?(?:system |user |original )?(?:prompt|instructions?|context|document|data|input)[ .:\]>-]*(?:new|now|begin|start|ignore|system|real|the (?:real|actual))"),
    (("only with", "only in", "only as"),
     r"(?:respond|reply|answer|say|output|speak) only (?:with|in|as)(?: \w+){0,6} (?:from now on|regardless|no matter what)"),
    (("from now on",),
     r"from now on,? (?:you (?:will|must|are|shall|re)|ignore|respond|answer|your name)"),
    (('conversation', 'history', 'api key', 'password', 'credential', 'secret', 'token', 'system prompt', 'private', 'contents of', 'environment variable', 'env variable', 'user data', "user's", 'users'),
     r"(?:send|post|forward|upload|exfiltrate|transmit|email|e mail|leak|append|pass) (?:\w+ ){0,6}(?:conversation|chat history|history|api keys?|passwords?|credentials?|secrets?|tokens?|system prompt|user'?s? (?:data|messages?|emails?)|private (?:data|keys?)|contents? of|env(?:ironment)? variables?)(?: \w+){0,6} (?:to|at|via|into) (?:https?|http|the (?:url|following|address|server|webhook|endpoint)|www|\S{1,40}@|my |this (?:url|address))"),
    (("](http",),
     r"!\[[^\]]{0,80}\]\(https?://[^)\s]{1,200}[?&/=](?:\{|\$|<|%7b|data=|q=|\[)"),
    (("the user", "the human", "the owner", "anyone", "the operator", " user", " human"),
     r"do not (?:tell|inform|mention|reveal|alert|notify|show)(?: this| it| that| anything)? ?(?:to )?(?:the )?(?:user|human|owner|anyone|operator)"),
    (("without telling", "without informing", "without alerting", "without notifying", "without asking"),
     r"without (?:telling|informing|alerting|notifying|asking) (?:the )?(?:user|human|owner|anyone|operator)"),
    (("ignorier", "vergiss", "vergessen", "missacht", "beacht", "umgeh"),
     r"(?:ignorier\w*|vergiss|vergessen sie|missacht\w*|beacht\w* nicht|umgeh\w*) (?:\w+ ){0,5}(?:anweisung|instruktion|befehl|regel|vorgabe|richtlinie|prompt|anordnung|alles)\w*"),
    (("systemprompt", "system prompt", "systemanweisung", "system nachricht"),
     r"(?:zeig\w*|nenn\w*|verrat\w*|gib\w*|wiederhol\w*) (?:\w+ ){0,4}(?:systemprompt|system prompt|systemanweisung\w*|system nachricht)"),
    (('ignor', 'oubli', 'neglig', 'suis', 'suivez', 'tenez'),
     r"(?:ignor\w+|oubli\w+|neglig\w+|ne (?:suis|suivez|tenez) pas) (?:\w+ |l'|d'|les |toutes? ){0,5}(?:instruction|consigne|directive|regle|ordre|commande|prompt|ce qui precede)\w*"),
    (("ignora", "olvid", "omit", "descart", "no sigas", "caso omiso"),
     r"(?:ignora\w*|olvid\w+|omit\w+|descart\w+|no sigas|haz caso omiso de) (?:\w+ ){0,5}(?:instruccion|regla|directriz|indicacion|orden|directiva|prompt|todo lo anterior)\w*"),
    (("ignora", "dimentic", "scord", "trascur", "non seguire"),
     r"(?:ignora\w*|dimentic\w+|scord\w+|trascur\w+|non seguire) (?:\w+ ){0,5}(?:istruzion|regol|direttiv|comand|indicazion|prompt|tutto cio)\w*"),
    (("ignor", "esquec", "desconsider", "desobede", "nao siga"),
     r"(?:ignor\w+|esquec\w+|desconsider\w+|desobede\w+|nao siga) (?:\w+ ){0,5}(?:instruc|regra|diretriz|diretiva|orden|comando|prompt|tudo o que)\w*"),
    (("negeer", "vergeet", "sla over"),
     r"(?:negeer|vergeet|sla over) (?:\w+ ){0,5}(?:instructie|opdracht|regel|richtlijn|aanwijzing|prompt|alles)\w*"),
    (("ignoruj", "zapomnij", "pomin"),
     r"(?:zignoruj|ignoruj|zapomnij|pomin) (?:\w+ ){0,5}(?:instrukcj|polecen|zasad|regul|wytyczn|prompt|wszystk)\w*"),
    (("yok say", "gormezden", "unut", "dikkate"),
     r"(?:yok say|gormezden gel|unut|dikkate alma)"),
    (("ignorera", "glom", "bortse"),
     r"(?:ignorera|glom|bortse fran) (?:\w+ ){0,4}(?:instruktion|regl|anvisning|prompt|allt)\w*"),
)  # fmt: skip
"""Literals of which one is in each phrase, and the phrase."""
_UNFOLDED = (
    r"(?:忽略|无视|無視|忘记|忘記|不要理会|不要理會|跳过|绕过)(?:.{0,10})(?:指令|指示|提示|规则|規則|内容|內容|要求|命令|限制)",
    r"(?:指示|命令|ルール|プロンプト|指令|規則)(?:.{0,8})(?:無視|忘れ|破棄|従わない)",
    r"(?:(?:이전|위의|앞의|모든|기존).{0,8}(?:지시|명령|규칙|프롬프트|지침).{0,6}(?:무시|잊))",
    r"(?:игнорир\w+|забудь\w*|проигнорир\w+|не обращай\w* внимания на|не следуй\w*) (?:\w+ ){0,5}(?:инструкц|указан|команд|правил|предыдущ|промпт|подсказк)\w*",
    r"(?:ігноруй\w*|забудь\w*) (?:\w+ ){0,5}(?:інструкц|вказівк|правил)\w*",
    r"(?:تجاهل|انس|تجاوز)(?:.{0,12})(?:التعليمات|الأوامر|القواعد|التوجيهات)",
    r"(?:התעלם|תתעלם|שכח)(?:.{0,12})(?:ההוראות|הכללים|ההנחיות)",
    r"(?:(?:पिछले|सभी|ऊपर).{0,12}(?:निर्देश|नियम).{0,12}(?:अनदेखा|भूल|नज़रअंदाज़))",
    r"(?:เพิกเฉย|ละเว้น|ลืม)(?:.{0,12})(?:คำสั่ง|คำแนะนำ|กฎ)",
    r"(?:bỏ qua|phớt lờ|quên)(?: \w+){0,4} (?:hướng dẫn|chỉ dẫn|lệnh|quy tắc)",
)
_MARKS = (
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\|>",
    r"\[/?INST\]|<</?SYS>>",
    r"</?(?:system|system_prompt|system-prompt|instructions?|admin|developer)>\s{0,4}\S",
    r"(?m:^\s{0,8}(?:#{2,6} ?|\[|\*\*)?(?:system|assistant|developer)(?: (?:message|prompt|override|update|note))?(?:\]|\*\*)?\s?:\s{0,4}\S)",
)
_MARK = re.compile("|".join(f"(?:{one})" for one in _MARKS), re.IGNORECASE)
_PHRASE = {f"{place}": re.compile(rf"\b(?:{phrase})") for place, (_, phrase) in enumerate(_PHRASES)}
_SIGNS = Signs({f"{place}": literals for place, (literals, _) in enumerate(_PHRASES)})
_MARK_SIGNS = Signs({"mark": ("<|", "inst]", "<<sys", "</sys", "system", "assistant:", "assistant]", "developer", "admin>", "instruction", "assistant*")})
_BEFORE, _AFTER = 120, 240
"""Characters around a literal in which its phrase stands."""
_OTHER = re.compile("|".join(f"(?:{one})" for one in _UNFOLDED), re.IGNORECASE)
_SPELLED = re.compile(r"(?<!\w)(?:\w[\W_]{1,2}){5,200}\w(?!\w)")
_PHRASE_JOINED = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|the|any|your|of|my)*(?:previous|prior|above|earlier|system|safety|preceding)*(?:instruction|prompt|rule|guideline|direction|restriction)"
    r"|doanythingnow|systemprompt|jailbreak|developermode"
)
_LEET = str.maketrans("013457@$!|", "oieastasii")
_DISGUISED = re.compile(r"[013457@$!|](?:(?<=[a-z].)|(?=[a-z]))")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{24,65536}={0,2}")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-fA-F]{2}[ :]?){16,8192}(?![A-Za-z0-9])")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&(?:#\d{1,7}|#x[0-9A-Fa-f]{1,6}|[a-z]{2,8});|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}")
_SHORTEST_CODE = 24
_DEEPEST = 2
_MOST_DECODED = 64
"""Pieces of one text that are decoded."""


class Injections:
    """See `Detector`."""

    kinds = (INJECTION,)

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        return list(_found(scan, 0))

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`: a phrase is some words long."""
        words = text[-240:]
        parts = words.rsplit(" ", 12)
        return len(text) - len(words) + (len(parts[0]) + 1 if len(parts) == 13 else 0)


def _found(scan: Scan, depth: int) -> Iterator[Finding]:
    text = scan.text
    for start, end in windows(_MARK_SIGNS.places(scan.folded.text).get("mark", ()), 32, 48, len(text) + 48):
        for mark in _MARK.finditer(text, start, end):
            yield Finding(mark.start(), mark.end(), INJECTION)
    if not text.isascii():
        for other in _OTHER.finditer(text):
            yield Finding(other.start(), other.end(), INJECTION)
    plain = scan.folded
    yield from _phrases(spaced(plain))
    if _DISGUISED.search(plain.text) is not None:
        yield from _phrases(spaced(Folded(plain.text.translate(_LEET), plain.places)))
    for spelled in _SPELLED.finditer(plain.text) if scan.spelled else ():
        if _PHRASE_JOINED.search(re.sub(r"[\W_]", "", spelled[0])):
            yield Finding(*plain.span(*spelled.span()), INJECTION)
    if depth < _DEEPEST:
        yield from _hidden(scan, depth)


def _phrases(plain: Folded) -> Iterator[Finding]:
    """Phrases in a folded text with single spaces."""
    text = plain.text
    for name, places in _SIGNS.places(text).items():
        for start, end in windows(places, _BEFORE, _AFTER, len(text)):
            for found in _PHRASE[name].finditer(text, start, end):
                yield Finding(*plain.span(*found.span()), INJECTION)


def _hidden(scan: Scan, depth: int) -> Iterator[Finding]:
    """What is written in another code says it all the same."""
    text, tries = scan.text, 0
    codes: list[tuple[re.Pattern[str], Callable[[str], str]]] = []
    if scan.longest_word >= _SHORTEST_CODE:
        codes.append((_BASE64, _from_base64))
    if scan.longest_word >= _SHORTEST_CODE or any(cluster.digits >= 16 for cluster in scan.clusters):
        codes.append((_HEX, _from_hex))
    for pattern, read in codes:
        for piece in pattern.finditer(text):
            tries += 1
            if tries > _MOST_DECODED:
                return
            told = read(piece[0])
            if told and any(True for _ in _found(Scan(told), depth + 1)):
                yield Finding(piece.start(), piece.end(), INJECTION)
    if ("%" in text or "&" in text or "\\" in text) and _ESCAPED.search(text) is not None:
        told = html.unescape(unquote(re.sub(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))", _escape, text)))
        if told != text and any(True for _ in _found(Scan(told), _DEEPEST)):
            yield Finding(0, len(text), INJECTION)


def _escape(found: re.Match[str]) -> str:
    return chr(int(found[1] or found[2], 16))


def _from_base64(written: str) -> str:
    plain = written.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(written: str) -> str:
    digits = re.sub(r"[ :]", "", written)
    return _readable(bytes.fromhex(digits)) if len(digits) % 2 == 0 else ""


def _readable(data: bytes) -> str:
    """The bytes as text, where they are one."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    shown = sum(letter.isprintable() or letter.isspace() for letter in text)
    return text if text and shown >= 0.95 * len(text) else ""
