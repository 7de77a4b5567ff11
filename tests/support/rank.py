"""What a launcher starts for a rank of `tests.support.warm`: it hands what it was given to a server's fork, and waits.

    python -I -S rank.py SOCKET ARGUMENT…

Streams, folder, environment, signals and the exit are the fork's, or become it. Few imports: they are its whole work.
"""

import contextlib
import json
import os
import signal
import socket
import sys

#: Where MPICH's launcher gives a rank an open descriptor.
PMI = "PMI_FD"
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def number(server: socket.socket) -> int:
    """The line that comes next; the process ends with a server that has ended."""
    line = b""
    while not line.endswith(b"\n"):
        byte = server.recv(1)
        if not byte:
            sys.exit("the server of forks has ended")
        line += byte
    return int(line)


def main(path: str, arguments: list[str]) -> None:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.connect(path)
    request = json.dumps({"arguments": arguments, "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
    descriptors = [0, 1, 2, *([int(os.environ[PMI])] if PMI in os.environ else [])]
    socket.send_fds(server, [f"{len(request)}\n".encode()], descriptors)
    server.sendall(request)
    fork = number(server)

    def forward(received: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and its code is on the way
            os.kill(fork, received)

    for each in FORWARDED:
        signal.signal(each, forward)
    code = number(server)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
