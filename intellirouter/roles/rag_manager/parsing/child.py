"""The parsing process: `python -m …parsing.child MEMORY SECONDS OUTPUT`. One document after another.

Frames on standard input and output: four bytes of length (big-endian), then msgpack. A request is `[file, name, charset, data]`, `data` nil for a file that is to be read. Answers are
`["blocks", …]` as often as needed, then `["end", title, last]` or `["error", reason, last]`; after a `last` one the process
ends, because its memory has grown. It limits itself, so that a bomb or a loop ends this process and nothing else.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from intellirouter.errors import IntelliRouterError
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.formats import parse

FRAME_CHARACTERS = 100_000
"""About so much text is in one frame, to be decoded in a few milliseconds."""
_KEPT_SHARE = 4
"""A process that has used more than one part in so many of its memory ends."""


Request = tuple[str, str, str, bytes | None]


class Session:
    """Answers over two pipes."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, memory: int, seconds: int, output: int) -> None:
        self._source = source
        self._sink = sink
        self._memory = memory
        self._seconds = seconds
        self._output = output

    def serve(self) -> None:
        """Until the input ends, or memory has grown."""
        last = False
        while not last and len(head := self._source.read(4)) == 4:
            request = self._source.read(int.from_bytes(head))
            file, name, charset, data = msgspec.msgpack.decode(request, type=Request)
            del request
            self._allow_seconds()
            verdict = self._document(Path(file), name, charset, data)
            last = _peak() > self._memory // _KEPT_SHARE
            self._send((*verdict, last))

    def _document(self, file: Path, name: str, charset: str, data: bytes | None) -> tuple[str, str]:
        try:
            size = file.stat().st_size if data is None else len(data)
            if size > self._memory // 2:  # a reader needs the bytes and the text
                return "error", f"needs more than {self._memory >> 20} MiB"
            title, blocks = parse(name, file.read_bytes() if data is None else data, charset)
            left = self._output
            for frame in _frames(blocks):
                left -= sum(len(text) for text, *_ in frame)
                if left < 0:
                    return "error", f"the text is larger than {self._output} characters"
                self._send(("blocks", frame))
        except MemoryError:
            return "error", f"needs more than {self._memory >> 20} MiB"
        except IntelliRouterError as error:
            return "error", error.message
        except OSError as error:  # what it is to read from went away
            return "error", f"cannot be read: {error.strerror or 'the node cannot reach its copy'}"
        return "end", title

    def _allow_seconds(self) -> None:
        """CPU seconds for one document, counted from what the process has used."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + self._seconds + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))

    def _send(self, answer: object) -> None:
        raw = msgspec.msgpack.encode(answer)
        self._sink.write(len(raw).to_bytes(4) + raw)
        self._sink.flush()


def _peak() -> int:
    """The most memory this process has held, in bytes. Not `ru_maxrss`, which starts with that of whoever started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


Framed = tuple[str, str, str, str, int]
"""A block's fields in their order."""


def _frames(blocks: Iterable[Block]) -> Iterator[list[Framed]]:
    frame: list[Framed] = []
    size = 0
    for block in blocks:
        for text in _pieces(block.text.encode("utf-8", "replace").decode()):
            frame.append((text, block.location, block.kind, block.head, block.row))
            size += len(text) + len(block.location) + len(block.head)
            if size >= FRAME_CHARACTERS:
                yield frame
                frame, size = [], 0
    if frame:
        yield frame


def _pieces(text: str) -> Iterator[str]:
    """The text, cut at a blank line, a line or a word into pieces that fit a frame."""
    start = 0
    while len(text) - start > FRAME_CHARACTERS:
        end = start + FRAME_CHARACTERS
        for mark in ("\n\n", "\n", " "):
            cut = text.rfind(mark, start + FRAME_CHARACTERS // 2, end)
            if cut > 0:
                end = cut + len(mark)
                break
        yield text[start:end]
        start = end
    yield text[start:]


def main(memory: int, seconds: int, output: int) -> int:
    """Serve within the limits: bytes of memory, CPU seconds and characters of text a document."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the frames
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Session(source, sink, memory, seconds, output).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:4])))
