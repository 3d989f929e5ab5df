"""Many clients at once, in a process of their own: `python -m tests.attacks.crowd PORT TOKEN RUN`.

It opens connections as it is told by lines of JSON, {"kind": …, "count": …}, and answers each line with one of its own:
how many stand. `report` answers how many of a kind have been closed by the service, and what they were told.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from usage_scripts.local_service import PROJECT

PATIENCE_SECONDS = 30.0
_HEAD = "Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
# What a client of each kind sends at once, after which it sends nothing more.
KINDS = {
    "silent": "",
    "half a head": "GET /api/schemas/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "half a body": "POST /api/executions/ HTTP/1.1\r\n" + _HEAD + 'Content-Length: 500\r\n\r\n{"schema": ',
    "anonymous half a body": "POST /api/executions/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 500\r\n\r\n{",
    "stalled upload": "POST /api/generic_files/ HTTP/1.1\r\n"
    + _HEAD
    + "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n--B\r\n"
    + "x" * 100_000,
    "follower": "GET /api/runs/{run}/logs/?follow=true HTTP/1.1\r\n" + _HEAD + "\r\n",
}


class Crowd:
    """The crowd's process, as a test speaks to it."""

    def __init__(self, url: str, token: str, run: str = "none") -> None:
        arguments = [sys.executable, "-m", "tests.attacks.crowd", url.rpartition(":")[2], token, run]
        self._process = subprocess.Popen(
            arguments, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)
        self._process.stdout.close()

    def open(self, kind: str, count: int) -> int:
        """Open so many connections of a kind; return how many of them stand."""
        return int(self._ask(kind=kind, count=count))

    def report(self, kind: str) -> dict[str, int]:
        """Return how many connections of a kind have ended how: `open`, the status they got, or `silence`."""
        return dict(self._ask(kind=kind))

    def _ask(self, **wanted: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _opened(port: int, text: bytes, count: int) -> list[socket.socket]:
    waiting, standing = selectors.DefaultSelector(), []
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
        waiting.register(client, selectors.EVENT_WRITE, text)
    while waiting.get_map():
        ready = waiting.select(PATIENCE_SECONDS)
        if not ready:
            break
        for key, _ in ready:
            client = key.fileobj
            assert isinstance(client, socket.socket)
            try:
                sent = client.send(key.data) if key.data else 0
            except BlockingIOError:
                continue
            except OSError:
                waiting.unregister(client)
                continue
            if rest := key.data[sent:]:
                waiting.modify(client, selectors.EVENT_WRITE, rest)
                continue
            waiting.unregister(client)
            standing.append(client)
    return standing


def _end_of(client: socket.socket) -> str:
    """Return how a connection has ended, as far as can be told without reading all of it."""
    try:
        answer = client.recv(65536, socket.MSG_PEEK)
    except BlockingIOError:
        return "open"
    except OSError:
        return "reset"
    return answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.1 ") else "silence"


def main() -> None:
    port, token, run = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients: dict[str, list[socket.socket]] = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        mine = clients.setdefault(wanted["kind"], [])
        if "count" in wanted:
            text = KINDS[wanted["kind"]].replace("{token}", token).replace("{run}", run)
            mine += _opened(port, text.encode(), wanted["count"])
            answer: Any = len(mine)
        else:
            answer = Counter(_end_of(client) for client in mine)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
