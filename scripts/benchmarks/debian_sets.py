"""Questions with known answers, made from Debian's documentation packages.

    faq    a question of Python's FAQ → the section that answers it, its heading removed
    faqs   the same of the FAQs of eight other projects
    perl   the same of Perl's FAQ, which has twice as many questions
    man    a manual page's description (NAME) → the page, that section removed
    pg     a PostgreSQL reference page's purpose → the page, that line removed
    topic  an entry of PostgreSQL's index → the sections that it names, two to ten
    ids    a part number or error code, alone or in a question → the one line among 1,000 that has it (made here)
    zh ja ko ru de    a heading of Debian's FAQ in that language → its section, the heading removed
    ar     the same of the Administrator's Handbook, of the sections that are translated
    one-…  one fact a document in that language (`script_sets.py`)

Packages are downloaded with `apt-get download` into a cache and unpacked there; nothing is installed. A question belongs to
the development or the test half by a hash of its text, so that the halves stay the same whatever else changes.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import os
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from intellirouter.roles.rag_manager.evaluation import Question
from scripts.benchmarks.script_sets import SENTENCES, facts

PACKAGES = {
    "faq": ("python3.11-doc",),
    "faqs": (
        "borgbackup-doc",
        "debian-faq",
        "ffmpeg-doc",
        "python-celery-doc",
        "python-django-doc",
        "python-scrapy-doc",
        "python-sqlalchemy-doc",
        "weechat-doc",
    ),
    "perl": ("perl-doc",),
    "man": ("coreutils", "util-linux", "manpages", "procps", "findutils", "iproute2", "mandoc"),
    "pg": ("postgresql-doc-15",),
    "topic": ("postgresql-doc-15",),
    "ids": (),
    "zh": ("debian-faq-zh-cn",),
    "ja": ("debian-faq-ja",),
    "ko": ("debian-faq-ko",),
    "ru": ("debian-faq-ru",),
    "de": ("debian-faq-de",),
    "ar": ("debian-handbook",),
    **{f"one-{language}": ("iso-codes",) for language in SENTENCES},
}
_ENTRY = re.compile(
    r'<dt id="ientry-[^"]*">([^<]*?),? <a (.*?)(?=<dt id="ientry-|<div class="indexdiv">)', re.DOTALL
)
_LONGEST_SECTION = 20_000
_NAMED = re.compile(r'href="([^"#]+)')
_FAQ_SECTION = re.compile(r'<div class="section"><div class="titlepage">')
_HANDBOOK_SECTION = re.compile(r'<div class="section">')
_ARABIC, _LETTER = re.compile(r"[\u0620-\u064a]"), re.compile(r"[^\W\d_]")
_FAQ_HEADING = re.compile(r'<h[2-5] class="title".*?</h[2-5]>', re.DOTALL)
_NUMBERED = re.compile(r"^[\d.\s]+")
_SECTION = re.compile(r"<section id=[^>]*>|</section>")
_HEADING = re.compile(r"\s*<h([1-6])>(.*?)</h\1>", re.DOTALL)
_ANY_HEADING = re.compile(r"<h([1-6])\b[^>]*>(.*?)</h\1>", re.DOTALL)
_FAQ_PAGES = (
    "borgbackup/html/faq.html",
    "debian/FAQ/*.en.html",
    "ffmpeg/manual/faq.html",
    "python-*-doc/html/faq.html",
    "python-*-doc/html/faq/*.html",
    "weechat-doc/html/weechat_faq.en.html",
)
_PERMALINK = re.compile(r'<a class="(?:headerlink|anchor hidden-xs)".*?</a>', re.DOTALL)
_NAME = re.compile(r'<section class="Sh">\s*<h1 class="Sh" id="NAME">.*?</section>', re.DOTALL)
_PURPOSE = re.compile(r'<div class="refnamediv">.*?</div>', re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_POD_HEADING = re.compile(r"^=head[12] +", re.MULTILINE)
_POD_INDEX = re.compile(r"X<[^<>]*>")
_POD_CODE = re.compile(r"[A-Z]<([^<>]*)>")  # the innermost; L<text|target> keeps both


@dataclass(slots=True)
class RetrievalSet:
    """Documents by name (HTML), and the questions of both halves."""

    documents: dict[str, bytes] = field(default_factory=dict)
    dev: list[Question] = field(default_factory=list)
    test: list[Question] = field(default_factory=list)


def build(cache: Path, name: str) -> RetrievalSet:
    """The set of that name."""
    roots = {package: _unpacked(cache, package) for package in PACKAGES[name]}
    if language := name.partition("one-")[2]:
        pages = facts(roots["iso-codes"], language)
    else:
        pages = {
            "faq": _faq,
            "faqs": _faqs,
            "perl": _perl,
            "man": _man,
            "pg": _pg,
            "topic": _topics,
            "ids": _ids,
            "ar": _handbook,
        }.get(name, _translated)(roots)
    built = RetrievalSet()
    answers: dict[str, list[str]] = defaultdict(list)
    for document, query, page in pages:
        built.documents[document] = page.encode()
        if query:
            answers[query].append(document)
    for query, documents in answers.items():
        half = hashlib.sha256(f"{name}\0{query}".encode()).digest()[0] & 1
        (built.test if half else built.dev).append(Question(query, tuple(documents)))
    return built


def _unpacked(cache: Path, package: str) -> Path:
    root = cache / package
    if not root.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", package], cwd=cache, check=True)
        archive = next(cache.glob(f"{package}_*.deb"))
        half = cache / f"{package}.{os.getpid()}"
        subprocess.run(["dpkg-deb", "-x", archive, half], check=True)
        half.rename(root)
        archive.unlink()
    return root


Page = tuple[str, str, str]
"""Name, question, HTML."""


def _faq(roots: dict[str, Path]) -> Iterator[Page]:
    folder = roots["python3.11-doc"] / "usr/share/doc/python3.11-doc/html/faq"
    for file in sorted(folder.glob("*.html")):
        text = file.read_text()
        title = _plain(re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]).split(" — ")[0]
        for number, section in enumerate(_innermost(text)):
            heading = _HEADING.match(section)
            if heading and (question := _plain(_PERMALINK.sub("", heading[2]))).endswith("?"):
                body = section[heading.end() :]
                page = f"<title>{html.escape(title)}</title>{body}"
                yield f"{file.stem}-{number}.html", question, page


def _faqs(roots: dict[str, Path]) -> Iterator[Page]:
    """What stands between a heading that asks and the next heading."""
    for package, root in roots.items():
        folder = root / "usr/share/doc"
        for file in sorted(file for pages in _FAQ_PAGES for file in folder.glob(pages)):
            text = file.read_text()
            title = _plain(re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]).split(" — ")[0]
            headings = list(_ANY_HEADING.finditer(text))
            ends = [heading.start() for heading in headings[1:]] + [len(text)]
            for number, (heading, end) in enumerate(zip(headings, ends, strict=True)):
                question = _NUMBERED.sub("", _plain(_PERMALINK.sub("", heading[2])))
                body = text[heading.end() : end]
                if question.endswith("?") and _plain(body):
                    page = f"<title>{html.escape(title)}</title>{body}"
                    yield f"{package}-{file.stem}-{number}.html", question, page


def _perl(roots: dict[str, Path]) -> Iterator[Page]:
    (folder,) = (roots["perl-doc"] / "usr/share/perl").glob("*/pod")
    for file in sorted(folder.glob("perlfaq[1-9].pod")):
        name, *sections = _POD_HEADING.split(file.read_text())[1:]
        title = _pod_text(name.split("\n", 1)[1].strip().split("\n")[0])
        for number, section in enumerate(sections):
            heading, _, body = section.partition("\n\n")
            if (question := " ".join(_pod_text(heading).split())).endswith("?"):
                page = f"<title>{html.escape(title)}</title>{_pod_html(body)}"
                yield f"{file.stem}-{number}.html", question, page


def _pod_html(body: str) -> str:
    """Paragraphs; indented ones are code, and commands (lists, index entries) are left out."""
    paragraphs = [part for part in body.split("\n\n") if part.strip() and not part.startswith("=")]
    return "".join(
        f"<pre>{html.escape(part)}</pre>" if part[0].isspace() else f"<p>{html.escape(_pod_text(part))}</p>"
        for part in paragraphs
    )


def _pod_text(text: str) -> str:
    text = _POD_INDEX.sub("", text)
    while (bare := _POD_CODE.sub(r"\1", text)) != text:
        text = bare
    return text


def _innermost(text: str) -> Iterator[str]:
    """Sections without sections."""
    opened = None
    for mark in _SECTION.finditer(text):
        if mark[0] != "</section>":
            opened = mark.end()
        elif opened is not None:
            yield text[opened : mark.start()]
            opened = None


def _man(roots: dict[str, Path]) -> Iterator[Page]:
    mandoc = roots.pop("mandoc") / "usr/bin/mandoc"
    files = sorted(
        file
        for root in roots.values()
        for file in (root / "usr/share/man").glob("man[0-9]/*.gz")
        if not file.is_symlink()
    )
    for file in files:
        source = gzip.decompress(file.read_bytes())
        rendered = subprocess.run(
            [mandoc, "-T", "html", "-O", "fragment"], input=source, capture_output=True, check=False
        ).stdout.decode()
        section = _NAME.search(rendered)
        parts = _plain(section[0]).split(" - ", 1) if section else []
        if section is None or len(parts) < 2:
            continue  # a page that only includes another
        name = file.name.removesuffix(".gz")
        page = f"<title>{html.escape(name)}</title>" + rendered.replace(section[0], "", 1)
        yield f"{name}.html", parts[1], page


def _pg(roots: dict[str, Path]) -> Iterator[Page]:
    folder = roots["postgresql-doc-15"] / "usr/share/doc/postgresql-doc-15/html"
    for file in sorted(folder.glob("*.html")):
        text = file.read_text()
        line = _PURPOSE.search(text)
        if line is None or 'class="refentry"' not in text:
            continue
        query = _plain(line[0]).split(" — ", 1)[-1]
        title = _plain(re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0])
        body = text[text.index('class="refentry"') : text.index('class="navfooter"')]
        page = f"<title>{html.escape(title)}</title><div {body.replace(line[0], '', 1)}>"
        yield file.name, query, page


def _topics(roots: dict[str, Path]) -> Iterator[Page]:
    """A section answers several entries, so it comes once for each; what none names comes once."""
    folder = roots["postgresql-doc-15"] / "usr/share/doc/postgresql-doc-15/html"
    entries: dict[str, set[str]] = {}
    for term, links in _ENTRY.findall((folder / "bookindex.html").read_text()):
        entries.setdefault(_plain(term), set()).update(_NAMED.findall(links))
    pages = {}
    for file in sorted(folder.glob("*.html")):
        text = file.read_text()
        if 'class="sect1"' in text:
            title = _NUMBERED.sub("", _plain(re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]))
            body = text[text.index('class="sect1"') : text.index('class="navfooter"')]
            if len(body) <= _LONGEST_SECTION:
                pages[file.name] = f"<title>{html.escape(title)}</title><div {body}>"
    answers = {term: names & pages.keys() for term, names in entries.items()}
    asked = {term: names for term, names in answers.items() if 2 <= len(names) <= 10}
    for name, page in pages.items():
        yield name, "", page
        yield from ((name, term, page) for term, names in asked.items() if name in names)


def _ids(_roots: dict[str, Path]) -> Iterator[Page]:
    """One-line documents that differ in little but their number; half of the questions are the number alone."""
    chance = random.Random(7)
    things = "valve pump bearing filter gasket sensor relay switch cable hinge".split()
    forms = ("{}", "Where is {}?", "What is {}", "price of {}")
    for number in range(1_000):
        letters = "".join(chance.choices("ABCDEFGHKLMNPRSTVWXZ", k=2))
        part = f"{letters}-{chance.randrange(10_000, 99_999)}-{chance.choice('ABCDE')}"
        thing, size = chance.choice(things), chance.randrange(1, 40)
        page = f"<title>{thing}</title><p>Part {part}, a {thing} of size {size}, in stock at shelf {chance.randrange(1, 200)}.</p>"
        yield f"{number}.html", forms[number % 4].format(part) if number % 5 == 0 else "", page


def _translated(roots: dict[str, Path]) -> Iterator[Page]:
    (root,) = roots.values()
    for file in sorted((root / "usr/share/doc/debian/FAQ").glob("*/*.html")):
        if file.is_symlink():
            continue
        text = file.read_text()
        title = _NUMBERED.sub("", _plain(re.findall(r"<title>(.*?)</title>", text, re.DOTALL)[0]))
        for number, section in enumerate(_FAQ_SECTION.split(text)[1:]):
            heading = _FAQ_HEADING.search(section)
            if heading and (question := _NUMBERED.sub("", _plain(heading[0]))):
                body = section[heading.end() :]
                if _plain(body):
                    yield f"{file.stem}-{number}.html", question, f"<title>{html.escape(title)}</title>{body}"


def _handbook(roots: dict[str, Path]) -> Iterator[Page]:
    """Sections of which more is Arabic than not; a heading that several have asks for nothing."""
    folder = roots["debian-handbook"] / "usr/share/doc/debian-handbook/html/ar-MA"
    for file in sorted(folder.glob("*.html")):
        text = file.read_text()
        for number, section in enumerate(_HANDBOOK_SECTION.split(text)[1:]):
            heading = _FAQ_HEADING.search(section)
            if heading is None:
                continue
            body, question = section[heading.end() :], _NUMBERED.sub("", _plain(heading[0]))
            if 2 * len(_ARABIC.findall(words := _plain(body))) > len(_LETTER.findall(words)) > 40:
                asked = question if _ARABIC.search(question) else ""
                yield f"{file.stem}-{number}.html", asked, body


def _plain(markup: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", markup)).split())
