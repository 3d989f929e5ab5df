"""What the client makes of servers that are slow, busy, broken or talk of other things: real ones, in a thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engines.argo.client import Client, Quiet, Refused
from engines.argo.options import Options
from engines.argo.pacing import TokenBucket
from engines.base import EngineUnavailable

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Gives its answers one after the other, the last again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller that has gone."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


class Sleeps:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def make_client(server: Server, tmp_path: Path, sleeps: Sleeps) -> Callable[..., Client]:
    """Return a function that makes a client of the server."""

    def make_client(bucket: TokenBucket | None = None, leaving: float = 0.0, timeout_seconds: float = 0.5) -> Client:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        path = tmp_path / "config"
        path.write_text(json.dumps(config))
        options = Options(kubeconfig=str(path), timeout_seconds=timeout_seconds)
        return Client(options, bucket or TokenBucket(1000.0, 1000, sleeps.clock, sleeps.sleep), leaving)

    return make_client


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    return make_client()


def ok(handler: Handler) -> None:
    handler.say(200, b'{"kind": "ok"}')


def busy(handler: Handler) -> None:
    handler.say(429, b'{"message": "too many"}', Retry_After="0")


def test_an_object_comes_back(client: Client, server: Server) -> None:
    server.answers = [ok]

    assert client.get("/x", limit=2) == {"kind": "ok"}
    path, headers = server.requests[0]
    assert (path, headers["authorization"]) == ("/x?limit=2", "Bearer t")


def test_a_busy_server_is_asked_again_when_it_says_so(
    make_client: Callable[..., Client], server: Server, sleeps: Sleeps
) -> None:
    server.answers = [lambda handler: handler.say(429, b"{}", Retry_After="2"), busy, ok]

    assert make_client(timeout_seconds=5.0).get("/x") == {"kind": "ok"}
    assert sleeps.slept == [pytest.approx(2.0)]


def test_a_server_that_stays_busy_is_left(client: Client, server: Server) -> None:
    server.answers = [busy]

    with pytest.raises(Refused, match=r"429.*too many"):
        client.get("/x")

    assert len(server.requests) == 4


def test_nobody_waits_longer_than_a_time_out_for_a_busy_server(client: Client, server: Server, sleeps: Sleeps) -> None:
    server.answers = [lambda handler: handler.say(429, b"{}", Retry_After="3600")]

    with pytest.raises(Refused):
        client.get("/x")

    assert (sleeps.slept, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda handler: handler.say(500, b'{"message": "etcd is away"}'), "refused .500.: etcd is away"),
        (lambda handler: handler.say(503, b"<html>"), "HTTP status 503"),
        (lambda handler: handler.say(200, b"<html>"), "not JSON"),
        (lambda handler: handler.say(200, b"[]"), "not an object"),
        (lambda handler: handler.say(302, b"", Location="http://elsewhere.example/"), "not JSON"),
        (lambda handler: handler.connection.close(), "does not answer"),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "does not answer"),
    ],
)
def test_what_nobody_can_use_means_unavailable(client: Client, server: Server, answer: Answer, words: str) -> None:
    def answer_and_close(handler: Handler) -> None:
        handler.close_connection = True
        answer(handler)

    server.answers = [answer_and_close]

    with pytest.raises(EngineUnavailable, match=words):
        client.get("/x")


def test_an_answer_that_breaks_off_means_unavailable(client: Client, server: Server) -> None:
    def break_off(handler: Handler) -> None:
        handler.close_connection = True
        handler.say(200, b'{"kind":', Content_Length="100")

    server.answers = [break_off]

    with pytest.raises(EngineUnavailable, match="broke off"):
        client.get("/x")


def test_a_server_that_says_nothing_is_not_waited_for(client: Client, server: Server) -> None:
    server.answers = [lambda handler: server.released.wait(30) and None]

    with pytest.raises(EngineUnavailable, match="does not answer"):
        client.get("/x")


def test_an_answer_that_drips_is_not_waited_for(client: Client, server: Server) -> None:
    def drip(handler: Handler) -> None:
        handler.close_connection = True
        handler.say(200, b"{", Content_Length="1000000")
        while not server.released.wait(0.05):
            handler.wfile.write(b" ")

    server.answers = [drip]

    with pytest.raises(EngineUnavailable, match="took too long"):
        client.get("/x")


def test_lines_come_as_they_are_written_and_then_quiet(client: Client, server: Server) -> None:
    def write(handler: Handler) -> None:
        handler.close_connection = True
        handler.say(200, b"one\ntwo\nth", Content_Length="1000000")
        server.released.wait(30)

    server.answers = [write]

    with client.lines("/x", 0.3) as lines:
        assert [next(lines), next(lines)] == [b"one", b"two"]
        with pytest.raises(Quiet):
            next(lines)


def test_a_line_that_is_too_long_comes_in_pieces(client: Client, server: Server) -> None:
    server.answers = [lambda handler: handler.say(200, b"x" * 1_000_000 + b"\nshort")]

    with client.lines("/x", 5.0, 300_000) as lines:
        *pieces, short = lines

    assert (b"".join(pieces), short) == (b"x" * 1_000_000, b"short")
    assert len(pieces) > 1


def test_who_matters_less_gets_no_answer_while_others_ask(make_client: Callable[..., Client], server: Server) -> None:
    server.answers = [ok]
    modest = make_client(TokenBucket(0.001, 2), leaving=1.0)

    assert modest.get("/x") == {"kind": "ok"}
    with pytest.raises(EngineUnavailable, match="configured rate"):
        modest.get("/x")
