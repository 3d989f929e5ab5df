import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import LinkageError, ModelsUnmergeable
from runtime.linkage import AIEngineLinkage, CallbackServer
from runtime.neighbours import Neighbours
from tests.runtime.recording import Answer, RecordingServer, free_port

CAPTURE = Path(__file__).parents[1] / "fixtures" / "captures" / "ai-engine-calls.json"
END = {"end_url": "/api/end", "max_finalization_time": 60, "max_finalization_retries": 0}
CAPTURE_RUN = "/api/run?use_case=training_from_scratch&callback_url=http://{host}/api/callback"


def send(url: str, body: bytes = b'{"SUCCESS": true}', method: str = "POST") -> int:
    request = urllib.request.Request(url, body if method != "GET" else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class Engine:
    """An AI engine whose run is scripted: it calls back as soon as it's started."""

    def __init__(self, server: RecordingServer) -> None:
        self.server = server
        self.callback_host = f"127.0.0.1:{free_port()}"
        self.run_path = CAPTURE_RUN.format(host=self.callback_host)
        server.answer("GET", "/api/ping", Answer())
        server.answer("POST", self.run_path, Answer())
        self.linkage = AIEngineLinkage(server.host, "/api/ping", probe_interval=0.02)

    def run(self, time: float = 20) -> None:
        self.linkage.run(
            run_url="/api/run",
            use_case="training_from_scratch",
            server_host=self.callback_host,
            callback_url="/api/callback",
            max_iteration_time=time,
        )

    def call_back(self, document: Any) -> None:
        _call_back_soon(f"http://{self.callback_host}/api/callback", json.dumps(document).encode())


def _call_back_soon(url: str, body: bytes = b'{"SUCCESS": true}') -> None:
    """Call back once the caller listens."""

    def keep_trying() -> None:
        while True:
            try:
                send(url, body)
                return
            except OSError:
                time.sleep(0.005)

    threading.Thread(target=keep_trying, daemon=True).start()


@pytest.fixture
def engine(server: RecordingServer) -> Any:
    made = Engine(server)
    with made.linkage:
        yield made


def test_ready_when_the_ping_is_answered_with_200(engine: Engine) -> None:
    engine.server._answers["GET", "/api/ping"][:0] = [Answer(503), Answer(drop=True)]

    engine.linkage.wait_until_ready(30)

    assert engine.server.of("GET") == ["/api/ping"] * 3


def test_an_engine_that_never_answers_is_a_fault() -> None:
    with (
        AIEngineLinkage(f"127.0.0.1:{free_port()}", "/api/ping") as linkage,
        pytest.raises(LinkageError, match="not ready within"),
    ):
        linkage.wait_until_ready(0.3)


@pytest.fixture
def dead(tmp_path: Path) -> Neighbours:
    """A pod whose AI engine has ended."""
    (tmp_path / "ctr" / "main").mkdir(parents=True)
    (tmp_path / "ctr" / "ai").mkdir()
    (tmp_path / "ctr" / "ai" / "exitcode").write_text("3")
    return Neighbours(tmp_path)


def test_an_engine_that_ended_is_not_waited_for(dead: Neighbours) -> None:
    with (
        AIEngineLinkage(f"127.0.0.1:{free_port()}", "/api/ping", neighbours=dead) as linkage,
        pytest.raises(LinkageError, match="before it was ready: container ai ended with exit code 3"),
    ):
        linkage.wait_until_ready(300)


def test_an_engine_that_answers_is_alive_whatever_its_neighbours_are(server: RecordingServer, dead: Neighbours) -> None:
    server.answer("GET", "/api/ping", Answer(503), Answer())
    with AIEngineLinkage(server.host, "/api/ping", neighbours=dead) as linkage:
        linkage.wait_until_ready(30)


def error_of_a_run_whose_engine_goes(**neighbours: Neighbours) -> str:
    """Return what a run ends with whose AI engine has taken the order and answers nobody afterwards."""
    with RecordingServer() as server:
        engine = Engine(server)
        server._answers["POST", engine.run_path][:] = [Answer()]
        if neighbours:
            engine.linkage = AIEngineLinkage(server.host, "/api/ping", **neighbours)
        caught: list[LinkageError] = []

        def run() -> None:
            try:
                engine.run(600)
            except LinkageError as error:
                caught.append(error)

        waiting = threading.Thread(target=run)
        waiting.start()
        while not server.calls:
            time.sleep(0.005)
    waiting.join(30)
    engine.linkage.__exit__(None, None, None)
    return str(caught[0])


def test_an_engine_that_ends_while_it_works_is_told_with_its_exit_code(dead: Neighbours) -> None:
    error = error_of_a_run_whose_engine_goes(neighbours=dead)

    assert error == "the AI engine ended before it called back: container ai ended with exit code 3"


def test_a_run_makes_the_recorded_call(engine: Engine) -> None:
    engine.call_back({"SUCCESS": True})

    engine.run()

    assert engine.server.calls == [
        {"method": "POST", "path": engine.run_path, "content_type": "application/json", "body": {}}
    ]
    assert "Authorization" not in engine.server.headers[0]


def test_a_failure_raises_with_the_engines_message(engine: Engine) -> None:
    engine.call_back({"SUCCESS": False, "message": "no data"})

    with pytest.raises(LinkageError, match="no data"):
        engine.run()


def test_a_failure_names_the_clients_that_it_is_for(engine: Engine) -> None:
    engine.call_back({"SUCCESS": False, "message": "no rows", "clients": {"b": "was trained on no row"}})

    with pytest.raises(ModelsUnmergeable, match="no rows") as caught:
        engine.run()

    assert caught.value.clients == {"b": "was trained on no row"}


def test_two_runs_may_follow_each_other_on_the_same_port(engine: Engine) -> None:
    for _run in range(2):
        engine.call_back({"SUCCESS": True})
        engine.run()

    assert len(engine.server.of("POST")) == 2


def test_a_run_without_callback_ends_with_its_time(engine: Engine) -> None:
    with pytest.raises(LinkageError, match="did not call back within"):
        engine.run(0.1)


def test_a_refused_run_is_a_fault(server: RecordingServer) -> None:
    engine = Engine(server)
    server._answers["POST", engine.run_path][:] = [Answer(409)]

    with engine.linkage, pytest.raises(LinkageError, match="answered 409"):
        engine.run()


def test_a_dead_engine_is_noticed_before_the_time_is_over() -> None:
    assert "ended before it called back" in error_of_a_run_whose_engine_goes()


def test_a_busy_callback_port_is_a_fault(engine: Engine) -> None:
    with CallbackServer(engine.callback_host, "/api/callback"), pytest.raises(LinkageError, match="cannot listen"):
        engine.run()


def test_end_asks_again_until_nobody_answers(server: RecordingServer) -> None:
    server.answer("POST", "/api/end", Answer())
    server.answer("GET", "/api/ping", Answer())
    with AIEngineLinkage(server.host, "/api/ping") as linkage, pytest.raises(LinkageError, match="after 3 requests"):
        linkage.end(end_url="/api/end", max_finalization_time=0.05, max_finalization_retries=2)

    assert server.of("POST") == ["/api/end"] * 3
    assert server.calls[0]["body"] == {}


def test_end_is_over_when_the_engine_is_gone() -> None:
    with AIEngineLinkage(f"127.0.0.1:{free_port()}", "/api/ping") as linkage:
        linkage.end(end_url="/api/end", max_finalization_time=5, max_finalization_retries=0)


@pytest.mark.parametrize("host", ["nowhere", "127.0.0.1:", "127.0.0.1:99999", ":1"])
def test_a_malformed_host_is_a_fault(host: str) -> None:
    with pytest.raises(LinkageError, match="host:port"):
        AIEngineLinkage(host, "/api/ping")


@pytest.fixture
def callback() -> Any:
    with CallbackServer("127.0.0.1:0", "/api/callback") as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_another_method_is_answered_405(callback: CallbackServer, method: str) -> None:
    assert send(callback.address, method=method) == 405
    assert callback.wait(0) is None


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"{}", b'{"SUCCESS": "yes"}', b'{"SUCCESS": false, "message": 3}', b"\xff"]
)
def test_a_bad_body_is_answered_400(callback: CallbackServer, body: bytes) -> None:
    assert send(callback.address, body) == 400
    assert callback.wait(0) is None


def test_another_path_is_answered_404(callback: CallbackServer) -> None:
    assert send(callback.address + "/more") == 404
    assert callback.wait(0) is None


def test_the_first_callback_counts(callback: CallbackServer) -> None:
    assert send(callback.address, b'{"SUCCESS": false, "message": "first"}') == 200
    assert send(callback.address) == 200

    outcome = callback.wait(10)
    assert outcome is not None
    assert (outcome.success, outcome.message) == (False, "first")


def test_nobody_listens_afterwards() -> None:
    with CallbackServer("127.0.0.1:0", "/api/callback") as running:
        pass

    asked: Callable[[], int] = lambda: send(running.address)  # noqa: E731
    with pytest.raises(OSError, match="refused"):
        asked()


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_role_makes_the_recorded_calls(role: str) -> None:
    recorded = json.loads(CAPTURE.read_text())[role]
    runs = [call["path"] for call in recorded if call["path"].startswith("/api/run")]
    host = f"127.0.0.1:{free_port()}"
    with RecordingServer() as server, AIEngineLinkage(server.host, "/api/ping") as linkage:
        server.answer("GET", "/api/ping", Answer())
        server.answer("POST", "/api/end", Answer())
        linkage.wait_until_ready(30)
        for path in runs:
            use_case, _, callback = path.partition("use_case=")[2].partition("&callback_url=")
            server.answer("POST", path.replace(callback, f"http://{host}/api/callback"), Answer())
            _call_back_soon(f"http://{host}/api/callback")
            linkage.run(
                run_url="/api/run",
                use_case=use_case,
                server_host=host,
                callback_url="/api/callback",
                max_iteration_time=60,
            )
        ending = threading.Thread(target=linkage.end, kwargs=END)
        ending.start()
        while "/api/end" not in server.of("POST"):
            time.sleep(0.005)
    ending.join(60)

    made = [(call["method"], re.sub(r"127\.0\.0\.1:\d+", "HOST", call["path"])) for call in server.calls]
    wanted = [(call["method"], re.sub(r"127\.0\.0\.1:\d+", "HOST", call["path"])) for call in recorded]
    # The last pings, until nobody answers, may be any number.
    assert made[: len(wanted) - 1] == wanted[:-1]
    assert set(made[len(wanted) - 1 :]) <= {wanted[-1]}
    assert not ending.is_alive()
