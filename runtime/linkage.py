"""How a program drives the AI engine beside it: ping, run, wait for the callback, end."""

import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self, cast
from urllib.parse import quote, urlsplit

import requests

from runtime.errors import LinkageError, ModelsUnmergeable
from runtime.neighbours import EXIT_TIME, LOOK_DELAY, Neighbours
from runtime.small_server import SmallServer, split_host

log = logging.getLogger(__name__)

# One per process: it knows which AI engines were asked to end.
_neighbours = Neighbours()

CALLBACK_LIMIT = 1024 * 1024
CALL_TIMEOUT = (5, 60)
PING_TIMEOUT = 5
FIRST_PING_DELAY = 0.1
LONGEST_PING_DELAY = 2.0
PROBE_INTERVAL = 5.0
# How often the pod's containers are checked.
GLANCE = 1.0
# After so many refused connections in a row the AI engine counts as gone, not as restarting.
REFUSALS_OF_A_DEAD_ENGINE = 3


@dataclass(frozen=True)
class Outcome:
    """What an AI engine reported at the end of a use case.

    `clients` has those whose models it could not merge, with the reason for each; an AI engine may leave it out.
    """

    success: bool
    message: str
    clients: Mapping[str, str] = field(default_factory=dict)


class AIEngineLinkage:
    """Drive the AI engine at `client_host` (host:port); no call to it carries a token."""

    def __init__(
        self,
        client_host: str,
        ping_url: str,
        *,
        probe_interval: float = PROBE_INTERVAL,
        neighbours: Neighbours = _neighbours,
    ) -> None:
        try:
            self._host, self._port = split_host(client_host)
        except ValueError as error:
            raise LinkageError(str(error)) from error
        self._ping_url = ping_url
        self._probe_interval = probe_interval
        self._neighbours = neighbours
        self._session = requests.Session()
        # The AI engine is a neighbour in the pod: proxies and .netrc of the environment must not apply.
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def wait_until_ready(self, max_initialization_time: float) -> None:
        """Ping until the answer is 200.

        Raises LinkageError after `max_initialization_time` seconds, and at once when the AI engine has ended.
        """
        deadline, delay = time.monotonic() + max_initialization_time, FIRST_PING_DELAY
        while True:
            answer = self._ping()
            if answer == requests.codes.ok:
                return
            if answer is None and (death := self._death()):
                raise LinkageError(f"the AI engine ended before it was ready: {death}")
            if time.monotonic() + delay > deadline:
                said = "no answer" if answer is None else f"last answer {answer}"
                raise LinkageError(
                    f"the AI engine was not ready within {max_initialization_time:g} s ({said}): "
                    f"it must answer GET {self._address(self._ping_url)} with 200"
                )
            time.sleep(delay)
            delay = min(delay * 1.5, LONGEST_PING_DELAY)

    def run(
        self, *, run_url: str, use_case: str, server_host: str, callback_url: str, max_iteration_time: float
    ) -> None:
        """Run a use case and wait for its callback.

        Raises LinkageError with the AI engine's message when it reports a failure, refuses, dies or takes longer than
        `max_iteration_time` seconds; ModelsUnmergeable when it names the clients that it fails for.
        """
        with CallbackServer(server_host, callback_url) as callback:
            query = f"use_case={quote(use_case)}&callback_url={quote(callback.address, safe=':/')}"
            self._post(f"{run_url}?{query}")
            log.info("the AI engine runs %s", use_case)
            outcome = self._wait(callback, max_iteration_time)
        if outcome.clients and not outcome.success:
            raise ModelsUnmergeable(f"the AI engine failed: {outcome.message}", outcome.clients)
        if not outcome.success:
            raise LinkageError(f"the AI engine failed: {outcome.message}")
        log.info("the AI engine ended %s", use_case)

    def end(self, *, end_url: str, max_finalization_time: float, max_finalization_retries: int) -> None:
        """Ask the AI engine to exit and wait until it does.

        Raises LinkageError when it still answers after `max_finalization_retries` further requests, each with
        `max_finalization_time` seconds to have effect.
        """
        before = self._neighbours.ended()
        for _attempt in range(max_finalization_retries + 1):
            try:
                self._post(end_url)
            except LinkageError as error:
                log.info("%s", error)
            if self._wait_until_gone(max_finalization_time):
                log.info("the AI engine has ended")
                self._neighbours.asked_to_end(before)
                return
        raise LinkageError(f"the AI engine did not end after {max_finalization_retries + 1} requests")

    def _wait(self, callback: "CallbackServer", max_iteration_time: float) -> Outcome:
        began, refusals = time.monotonic(), 0
        deadline, probe_at = began + max_iteration_time, began + self._probe_interval
        while True:
            left = deadline - time.monotonic()
            outcome = callback.wait(max(min(GLANCE, probe_at - time.monotonic(), left), 0))
            if outcome is not None:
                return outcome
            if left <= 0:
                raise LinkageError(f"the AI engine did not call back within {max_iteration_time:g} s")
            if death := self._death():
                raise LinkageError(f"the AI engine ended before it called back: {death}")
            if time.monotonic() < probe_at:
                continue
            probe_at = time.monotonic() + self._probe_interval
            refusals = refusals + 1 if self._refuses_connections() else 0
            if refusals >= REFUSALS_OF_A_DEAD_ENGINE:
                raise LinkageError("the AI engine ended before it called back")

    def _death(self, seconds: float = 0) -> str:
        """Return how the AI engine ended, or ends within so long; '' when it runs or its state is not known."""
        until = time.monotonic() + seconds
        while not (death := self._neighbours.death()) and self._neighbours.are_known and time.monotonic() < until:
            time.sleep(LOOK_DELAY)
        return death if death and self._refuses_connections() else ""

    def _wait_until_gone(self, max_finalization_time: float) -> bool:
        deadline, delay = time.monotonic() + max_finalization_time, FIRST_PING_DELAY
        while True:
            if self._ping() is None and self._refuses_connections():
                return True
            if time.monotonic() + delay > deadline:
                return False
            time.sleep(delay)
            delay = min(delay * 1.5, LONGEST_PING_DELAY)

    def _address(self, path: str) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/{path.lstrip('/')}"

    def _ping(self) -> int | None:
        """Return the status of the ping, None without an answer."""
        try:
            with self._session.get(self._address(self._ping_url), timeout=PING_TIMEOUT) as response:
                return response.status_code
        except requests.RequestException:
            return None

    def _refuses_connections(self) -> bool:
        """Return whether the connection is refused; a busy AI engine that answers late does not count."""
        try:
            with socket.create_connection((self._host, self._port), timeout=PING_TIMEOUT):
                return False
        except ConnectionRefusedError:
            return True
        except OSError:
            return False

    def _post(self, path: str) -> None:
        url = self._address(path)
        shown = url.partition("?")[0]
        try:
            response = self._session.post(
                url, data="{}", headers={"Content-Type": "application/json"}, timeout=CALL_TIMEOUT
            )
        except requests.RequestException as error:
            death = self._death(EXIT_TIME)
            why = f"{type(error).__name__}; {death}" if death else type(error).__name__
            raise LinkageError(f"POST {shown} of the AI engine failed ({why})") from error
        if response.status_code != requests.codes.ok:
            raise LinkageError(f"POST {shown} of the AI engine answered {response.status_code}")


class CallbackServer:
    """Listen for an AI engine's callback, only while used as a context manager."""

    def __init__(self, server_host: str, callback_url: str) -> None:
        try:
            host, port = split_host(server_host)
        except ValueError as error:
            raise LinkageError(str(error)) from error
        self.path = "/" + callback_url.lstrip("/")
        self._outcome: Outcome | None = None
        self._lock, self._arrived = threading.Lock(), threading.Event()
        try:
            self._server = _CallbackHTTPServer((host, port), self)
        except OSError as error:
            raise LinkageError(f"cannot listen for the callback on {server_host}: {error}") from error
        bracketed = f"[{host}]" if ":" in host else host
        self.address = f"http://{bracketed}:{self._server.server_address[1]}{self.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome, None when it has not come after so many seconds."""
        self._arrived.wait(seconds)
        return self._outcome

    def keep(self, outcome: Outcome) -> bool:
        """Keep an outcome and return True, unless there is one: the first one counts."""
        with self._lock:
            if self._outcome is not None:
                return False
            self._outcome = outcome
            return True

    def announce(self) -> None:
        """Wake the waiting thread."""
        self._arrived.set()


class _CallbackHTTPServer(SmallServer):
    def __init__(self, address: tuple[str, int], callback: CallbackServer) -> None:
        self.callback = callback
        super().__init__(address, _CallbackHandler)


class _CallbackHandler(BaseHTTPRequestHandler):
    timeout = 30

    def _serve(self) -> None:
        callback = cast(_CallbackHTTPServer, self.server).callback
        if urlsplit(self.path).path.rstrip("/") != callback.path.rstrip("/"):
            self._answer(404)
            return
        if self.command != "POST":
            self._answer(405, {"Allow": "POST"})
            return
        outcome = self._read_outcome()
        if outcome is None:
            self._answer(400)
            return
        is_first = callback.keep(outcome)
        self._answer(200)
        # Only now: the waiting thread may end the process, and the answer must be sent before.
        if is_first:
            callback.announce()

    def _read_outcome(self) -> Outcome | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > CALLBACK_LIMIT:
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict) or not isinstance(body.get("SUCCESS"), bool):
            return None
        message = body.get("message", "")
        if message is not None and not isinstance(message, str):
            return None
        clients = body.get("clients") if isinstance(body.get("clients"), dict) else {}
        return Outcome(
            body["SUCCESS"],
            message or "it gave no reason",
            {str(client): str(reason) for client, reason in (clients or {}).items()},
        )

    def _answer(self, status: int, headers: dict[str, str] | None = None) -> None:
        body = b"" if self.command == "HEAD" else b"{}"
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Log a callback like everything else."""
        log.info("callback: %s", format % args)
