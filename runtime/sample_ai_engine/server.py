"""The AI engine's HTTP API: ping, run, end."""

import importlib
import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler
from typing import cast
from urllib.parse import parse_qs, urlsplit

from runtime.sample_ai_engine.errors import ModelsUnmergeable, UseCaseError
from runtime.sample_ai_engine.variables import PlatformVariables, UserVariables
from runtime.small_server import SmallServer

log = logging.getLogger(__name__)

BODY_LIMIT = 64 * 1024
CALLBACK_TIMEOUT = 30
CALLBACK_ATTEMPTS = 6
FIRST_CALLBACK_DELAY = 0.25
USE_CASE_NAMES = frozenset(
    {
        "training_from_scratch",
        "training_from_pretrained_model",
        "evaluating_from_pretrained_model",
        "merging_models",
        "inferencing_from_pretrained_model",
    }
)

UseCases = dict[str, Callable[[PlatformVariables, UserVariables], None]]


def main() -> int:
    """Serve until asked to end; return the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s")
    try:
        platform = PlatformVariables.load()
        server = AIEngineServer(platform)
    except (UseCaseError, OSError) as error:
        log.error("the AI engine cannot start: %s", error)
        return 1
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.end())
    with server:
        log.info("serving on %s:%d", *server.server_address[:2])
        server.serve_forever(poll_interval=0.05)
    log.info("ended")
    # A use case may still run in its thread; the end does not wait for it.
    sys.stdout.flush()
    os._exit(0)


class AIEngineServer(SmallServer):
    """Serve one AI engine, which carries out one use case at a time."""

    def __init__(self, platform: PlatformVariables) -> None:
        super().__init__((platform.api_host, platform.api_port), _Handler)
        self.platform = platform
        self._busy = threading.Lock()
        self._use_cases: Future[UseCases] = Future()
        # scikit-learn takes seconds to load; pings are answered meanwhile.
        threading.Thread(target=self._load, daemon=True).start()

    def start(self, use_case: str, callback_url: str) -> bool:
        """Start a use case in the background; return False when one is running."""
        if not self._busy.acquire(blocking=False):
            return False
        threading.Thread(target=self._carry_out, args=(use_case, callback_url), daemon=True).start()
        return True

    def end(self) -> None:
        """Stop serving; returns at once."""
        threading.Thread(target=self.shutdown, daemon=True).start()

    def _load(self) -> None:
        try:
            module = importlib.import_module("runtime.sample_ai_engine.use_cases")
            self._use_cases.set_result(module.USE_CASES)
        except BaseException as error:  # the caller of a use case gets it
            self._use_cases.set_exception(error)

    def _carry_out(self, use_case: str, callback_url: str) -> None:
        started = time.monotonic()
        log.info("%s: started", use_case)
        try:
            report: dict[str, object] = self._report(use_case)
        finally:
            # Before the callback: the caller may start the next use case as soon as it has it.
            self._busy.release()
        log.info("%s: %s after %.2f s", use_case, report, time.monotonic() - started)
        _call_back(callback_url, report)

    def _report(self, use_case: str) -> dict[str, object]:
        try:
            user = UserVariables.load(self.platform.input_user_vars)
            self._use_cases.result()[use_case](self.platform, user)
        except ModelsUnmergeable as error:
            return {"SUCCESS": False, "message": f"{use_case}: {error}", "clients": error.clients}
        except (UseCaseError, OSError) as error:
            return {"SUCCESS": False, "message": f"{use_case}: {error}"}
        except Exception as error:  # the outermost loop of a use case: the caller must get every end
            # Only the place in the code is logged: the text of an unexpected error may hold a patient's data.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
            log.error("%s: unexpected %s at %s", use_case, type(error).__name__, where)
            return {"SUCCESS": False, "message": f"{use_case}: unexpected error ({type(error).__name__})"}
        return {"SUCCESS": True}


def _call_back(url: str, report: dict[str, object]) -> None:
    """Send the outcome to the caller, with a few retries while it does not listen."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    delay = FIRST_CALLBACK_DELAY
    for _attempt in range(CALLBACK_ATTEMPTS):
        request = urllib.request.Request(  # noqa: S310 (the scheme was checked when the use case was started)
            url, json.dumps(report).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with opener.open(request, timeout=CALLBACK_TIMEOUT):
                return
        except urllib.error.HTTPError as error:
            error.close()
            log.error("the callback was answered with %d", error.code)
            return
        except OSError as error:
            log.warning("the callback failed: %s", error)
        time.sleep(delay)
        delay *= 2


class _Handler(BaseHTTPRequestHandler):
    timeout = 60

    def do_GET(self) -> None:
        """Answer the ping."""
        platform = self._engine.platform
        if self._path_is(platform.api_ping_url):
            self._answer(200, {})
        elif self._path_is(platform.api_run_url) or self._path_is(platform.api_end_url):
            self._answer(405, {"detail": "use POST"})
        else:
            self._answer(404, {"detail": "not found"})

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Start a use case, or end."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            self._answer(413, {"detail": "the body must be {}"})
            return
        self.rfile.read(int(length))
        platform = self._engine.platform
        if self._path_is(platform.api_run_url):
            self._run()
        elif self._path_is(platform.api_end_url):
            self._answer(200, {})
            self._engine.end()
        elif self._path_is(platform.api_ping_url):
            self._answer(405, {"detail": "use GET"})
        else:
            self._answer(404, {"detail": "not found"})

    def _run(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        use_case, callback_url = query.get("use_case", [""])[0], query.get("callback_url", [""])[0]
        if use_case not in USE_CASE_NAMES:
            self._answer(400, {"detail": "use_case is missing or unknown"})
        elif urlsplit(callback_url).scheme not in ("http", "https"):
            self._answer(400, {"detail": "callback_url is missing or not an HTTP address"})
        elif not self._engine.start(use_case, callback_url):
            self._answer(409, {"detail": "a use case is running"})
        else:
            self._answer(200, {})

    @property
    def _engine(self) -> AIEngineServer:
        return cast(AIEngineServer, self.server)

    def _path_is(self, url: str) -> bool:
        return urlsplit(self.path).path.strip("/") == url.strip("/")

    def _answer(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Log requests other than pings, which are too many."""
        if not self._path_is(self._engine.platform.api_ping_url):
            log.info("%s", format % args)
