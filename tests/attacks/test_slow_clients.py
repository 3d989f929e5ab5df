"""Nobody silences the service: clients that send half, read nothing, or hold as many connections as they can."""

from __future__ import annotations

import os
import signal
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from tests.attacks.crowd import KINDS, Crowd
from tests.live.test_callers import sleeping_run, threads
from tests.live.test_killed import process_ids, wait_for
from usage_scripts.demo_day import Api, register_sample_ai_engine
from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live

# The bounds of what a caller waits for, whatever others do.
# Less than the crowd has until it is cut, so that no answer waits for that.
PATIENCE_SECONDS = 8
TRIES = 9
# Until a client that is too slow has been told so: the longest of the time-outs, and a while.
CUT_SECONDS = 40
FOLLOWERS = 500
_TCP_ESTABLISHED = 1


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own, as it ships."""
    with local_service(tmp_path_factory.mktemp("crowded")) as running:
        yield running


@pytest.fixture(scope="module")
def run(service: LocalService) -> str:
    """The name of a run that says nothing for a long time."""
    name = sleeping_run(service, register_sample_ai_engine(Api(service.url, service.token)))
    first_line = service.session().get(
        f"{service.url}/api/runs/{name}/logs/?follow=true&prefix=false", stream=True, timeout=60
    )
    assert next(first_line.iter_lines()) == b"awake"
    first_line.close()
    return name


@pytest.fixture
def crowd(service: LocalService, run: str) -> Iterator[Crowd]:
    with Crowd(service.url, service.token, run) as clients:
        yield clients


@pytest.fixture
def readers(service: LocalService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[socket.socket]]:
    """A hundred clients that asked for a large file and read nothing of it."""
    contents = tmp_path_factory.mktemp("large") / "c.zip"
    with zipfile.ZipFile(contents, "w") as archive:
        archive.writestr("zeros", b"\0" * 64 * 1024**2)
    with contents.open("rb") as file:
        made = service.session().post(
            f"{service.url}/api/generic_files/", data={"data": '{"name": "g"}'}, files={"contents": file}, timeout=60
        )
    assert made.status_code == 201, made.text
    address = f"/api/generic_files/{made.json()['id']}/packed_contents_download/"
    text = f"GET {address} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {service.token}\n\n"
    with ExitStack() as held:
        clients = [held.enter_context(send(service, text)) for _ in range(100)]
        assert all(client.recv(1) == b"H" for client in clients)
        yield clients


def is_heard(service: LocalService) -> None:
    """Check that health and an API call are answered, each over a connection of its own, while the crowd is there."""
    headers = {"Authorization": f"Bearer {service.token}"}
    for path in ("/health/live", "/api/runs/"):
        for _ in range(TRIES):
            assert requests.get(f"{service.url}{path}", headers=headers, timeout=PATIENCE_SECONDS).status_code == 200


def test_everybody_at_once_keeps_nobody_out(service: LocalService, crowd: Crowd, readers: list[socket.socket]) -> None:
    before = threads(service)
    assert crowd.open("follower", FOLLOWERS) == FOLLOWERS
    assert crowd.open("half a head", 500) == 500
    assert crowd.open("half a body", 250) == 250
    assert crowd.open("anonymous half a body", 250) == 250
    assert crowd.open("silent", 1000) == 1000
    assert crowd.open("stalled upload", 300) == 300

    is_heard(service)

    # All were told so who were too slow; those who only listen stay, and cost no thread.
    wait_for("the silent ones' end", lambda: "open" not in crowd.report("silent"), CUT_SECONDS)
    wait_for("the stalled uploads' end", lambda: "open" not in crowd.report("stalled upload"), CUT_SECONDS)
    assert crowd.report("half a head") == {"408": 500}
    assert crowd.report("half a body") == {"408": 250}
    assert crowd.report("anonymous half a body") == {"408": 250}
    assert crowd.report("silent") == {"408": 1000}
    assert crowd.report("stalled upload") == {"408": 300}
    assert crowd.report("follower") == {"200": FOLLOWERS}
    wait_for("the end of those who read nothing", lambda: not any(map(is_open, readers)), CUT_SECONDS)
    assert threads(service) - before < 100
    assert list((service.data_dir / "uploads").iterdir()) == []


def test_a_kind_of_slow_client_alone_keeps_nobody_out(service: LocalService, crowd: Crowd) -> None:
    for kind in KINDS:
        assert crowd.open(kind, 100) == 100
        assert requests.get(f"{service.url}/health/live", timeout=PATIENCE_SECONDS).status_code == 200


def send(service: LocalService, text: str, then: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=60)
    connection.sendall(text.replace("\n", "\r\n").encode() + then)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    answer = b""
    with connection, suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def test_drops_of_a_head_win_no_time(service: LocalService) -> None:
    with send(service, "GET /health/live HTTP/1.1\n") as connection:
        connection.settimeout(0.5)
        answer, give_up_at = b"", time.monotonic() + CUT_SECONDS
        while not answer and time.monotonic() < give_up_at:
            try:
                connection.sendall(b"X-Drop: 1\r\n")
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"GET /{'a' * 9000} HTTP/1.1\nHost: 127.0.0.1\n\n", 414),
        ("GET / HTTP/1.1\n" + "X-Many: 1\n" * 101 + "\n", 431),
        (f"GET / HTTP/1.1\nX-Long: {'a' * 70000}", 431),
        ("GET / HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 5\nContent-Length: 6\n\n", 400),
        ("nothing of HTTP\n\n", 400),
    ],
)
def test_heads_beyond_the_limits_are_problems(service: LocalService, text: str, status: int) -> None:
    answer = answer_of(send(service, text))

    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"application/problem+json" in answer


def test_an_answer_arrives_whole_before_its_connection_ends(service: LocalService) -> None:
    text = "POST /api/executions/ HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nContent-Length: 4\n\n"
    for _ in range(20):
        with send(service, text, b"{}  ") as connection:
            answer = b""
            # A connection that is reset raises.
            while chunk := connection.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert answer.endswith(b"}")


def test_requests_sent_far_ahead_are_cut(service: LocalService) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    assert answer_of(send(service, "", one * 5000)).count(b"HTTP/1.1 200") < 100


def is_open(connection: socket.socket) -> bool:
    """Return whether the service has not closed a connection, of which nothing is read here."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_ESTABLISHED


def test_a_stop_ends_in_time_whoever_follows(tmp_path: Path) -> None:
    with local_service(tmp_path / "data") as own:
        name = sleeping_run(own, register_sample_ai_engine(Api(own.url, own.token)))
        with Crowd(own.url, own.token, name) as clients:
            clients.open("follower", 50)
            wait_for("the followers", lambda: clients.report("follower") == {"200": 50})
            worker = process_ids(own, "gunicorn")[-1]
            os.kill(process_ids(own, "gunicorn")[0], signal.SIGTERM)
            wait_for("the worker's end", lambda: not Path(f"/proc/{worker}").exists(), 20)
