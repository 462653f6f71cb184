"""Stands for `intellirouter` in a shell: `python -IS client.py SOCKET ARGUMENTS…` has the warm process begin one and ends as it does."""

import json
import os
import signal
import socket
import sys


def umask() -> int:
    """The call that tells it sets it too."""
    before = os.umask(0o077)
    os.umask(before)
    return before


def main() -> int:
    """The exit code of what ran; a signal's number is given on, as a shell sees it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    wanted = {
        "arguments": sys.argv[2:],
        "folder": os.getcwd(),  # noqa: PTH109  pathlib takes longer to import than all of this
        "environment": dict(os.environ),
        "session": False,
        "umask": umask(),
    }
    message = json.dumps(wanted).encode()
    socket.send_fds(connection, [len(message).to_bytes(4)], [0, 1, 2])
    connection.sendall(message)
    answers = connection.makefile("rb")
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(pid, received))
    code = int(answers.readline())
    if code >= 0:
        return code
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


sys.exit(main())
