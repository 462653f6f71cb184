"""The parsing process: `python -m …parsing.child FILE NAME MEMORY SECONDS OUTPUT`; JSON on standard output.

It limits itself before it looks at the file, so that a bomb or a loop ends this process and nothing else.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from intellirouter.errors import IntelliRouterError
from intellirouter.roles.rag_manager.parsing.formats import parse


def main(file: str, name: str, memory: int, seconds: int, output: int) -> int:
    """0 with the blocks, 1 with what is wrong with the document."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        title, blocks = parse(name, Path(file).read_bytes())
        text = json.dumps({"title": title, "blocks": [(b.text, b.location, b.kind) for b in blocks]})
        if len(text) > output:
            return _fail(f"the text is larger than {output} bytes")
    except MemoryError:
        return _fail(f"needs more than {memory >> 20} MiB")
    except IntelliRouterError as error:
        return _fail(error.message)
    except Exception as error:  # noqa: BLE001 - whatever a parser raises is a fault of the document
        return _fail(f"cannot be read: {type(error).__name__}")
    sys.stdout.write(text)
    return 0


def _fail(reason: str) -> int:
    sys.stdout.write(json.dumps({"error": reason}))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], *(int(word) for word in sys.argv[3:6])))
