"""HTTP calls to the orchestrator and the registry: time-outs, retries of transient faults, resumed downloads."""

import json
import logging
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from runtime.errors import CallError
from runtime.multipart import FilePart, MultipartBody
from runtime.transport import AUTHORITY_VARIABLE, Transport

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "ORCHESTRATOR_CALLBACK_TOKEN"  # noqa: S105 (the variable's name, not a token)
TRANSIENT_STATUSES = frozenset({502, 503, 504})
BLOCK = 256 * 1024


@dataclass(frozen=True)
class CallSettings:
    """The time-outs and retries of a call; times in seconds."""

    connect_timeout: float = 10
    read_timeout: float = 120
    attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 8

    @classmethod
    def lasting(cls, seconds: float) -> Self:
        """Return settings that retry transient faults for about so long."""
        return cls(attempts=cls.attempts + int(seconds / cls.longest_delay))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read STEP_RUNNER_{CONNECT_TIMEOUT, READ_TIMEOUT, CALL_ATTEMPTS, FIRST_DELAY, LONGEST_DELAY}."""
        values = os.environ if environment is None else environment
        return cls(
            connect_timeout=float(values.get("STEP_RUNNER_CONNECT_TIMEOUT", cls.connect_timeout)),
            read_timeout=float(values.get("STEP_RUNNER_READ_TIMEOUT", cls.read_timeout)),
            attempts=int(values.get("STEP_RUNNER_CALL_ATTEMPTS", cls.attempts)),
            first_delay=float(values.get("STEP_RUNNER_FIRST_DELAY", cls.first_delay)),
            longest_delay=float(values.get("STEP_RUNNER_LONGEST_DELAY", cls.longest_delay)),
        )


class _Bearer(AuthBase):
    """Add the callback token; an AuthBase, so that no .netrc takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Calls:
    """Make the runtime's HTTP calls; a context manager that closes its connections.

    Raises CallError for invalid certificates in the environment.
    """

    def __init__(
        self, settings: CallSettings | None = None, token: str = "", transport: Transport | None = None
    ) -> None:
        self._settings = settings or CallSettings()
        self._transport = transport or Transport.from_environment()
        self._session = requests.Session()
        try:
            self._session.mount("https://", self._transport.adapter())
        except (ssl.SSLError, ValueError) as error:
            raise CallError(f"{AUTHORITY_VARIABLE} holds no certificates (PEM): {error}") from error
        self._session.auth = _Bearer(token)
        # Lengths are compared with the received bytes, so answers must not be compressed.
        self._session.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def send_data(
        self, method: str, url: str, data: Mapping[str, object], files: Sequence[FilePart] = ()
    ) -> requests.Response:
        """Send a multipart body: the JSON part `data`, and files beside it."""

        def send() -> requests.Response:
            body = MultipartBody(data, files)
            return self._request(method, url, data=body, headers={"Content-Type": body.content_type})

        return self._repeat(method, url, send)

    def send_json(self, method: str, url: str, body: Mapping[str, object]) -> requests.Response:
        """Send a JSON body."""
        return self._repeat(method, url, lambda: self._request(method, url, json=body))

    def send_content(
        self, method: str, url: str, content: bytes | Path, headers: Mapping[str, str]
    ) -> requests.Response:
        """Send bytes, or a file that is read while it is sent."""

        def send() -> requests.Response:
            # An empty file would be sent as a body of unknown length.
            if isinstance(content, bytes) or content.stat().st_size == 0:
                return self._request(method, url, data=content if isinstance(content, bytes) else b"", headers=headers)
            with content.open("rb") as file:
                return self._request(method, url, data=file, headers=headers)

        return self._repeat(method, url, send)

    def delete(self, url: str) -> None:
        """Delete a resource; a missing one counts as deleted."""
        try:
            self._repeat("DELETE", url, lambda: self._request("DELETE", url))
        except CallError as error:
            if error.status not in (404, 410):
                raise

    def get_json(self, url: str) -> Any:
        """Return the JSON document at `url`."""
        response = self._repeat("GET", url, lambda: self._request("GET", url, allow_redirects=True))
        try:
            return response.json()
        except ValueError as error:
            raise CallError(f"GET {_shown(url)} did not return JSON") from error

    def download(self, url: str, target: Path, resume_retries: int) -> None:
        """Download to `target`, resuming a broken download by Range at most `resume_retries` times.

        Raises CallError when it breaks again after that, or when the length isn't the one that HEAD gave.
        """
        length = self._length(url)
        partial = target.with_name(f".{target.name}.part")
        partial.unlink(missing_ok=True)
        try:
            self._fetch(url, partial, length, resume_retries)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        log.info("downloaded %s: %d bytes", _shown(url), target.stat().st_size)

    def _length(self, url: str) -> int | None:
        try:
            response = self._repeat("HEAD", url, lambda: self._request("HEAD", url, allow_redirects=True))
        except CallError as error:
            if error.status in (405, 501):
                return None
            raise
        return _content_length(response)

    def _fetch(self, url: str, partial: Path, length: int | None, resume_retries: int) -> None:
        resumed, unchanged_since = 0, ""
        while True:
            reason, etag, expected = self._fetch_once(url, partial, unchanged_since)
            arrived = partial.stat().st_size if partial.exists() else 0
            length = expected if length is None else length
            if reason is None and length in (None, arrived):
                return
            if length is not None and arrived > length:
                raise CallError(f"GET {_shown(url)}: received {arrived} bytes, expected {length}")
            if resumed >= resume_retries:
                raise CallError(
                    f"GET {_shown(url)} broke after {arrived} of {length} bytes, after {resumed} resumptions: "
                    f"{reason or 'the connection closed early'}"
                )
            unchanged_since = etag or unchanged_since
            log.info("download of %s broke after %d bytes: %s", _shown(url), arrived, reason or "closed early")
            time.sleep(min(self._settings.first_delay * 2**resumed, self._settings.longest_delay))
            resumed += 1

    def _fetch_once(self, url: str, partial: Path, etag: str) -> tuple[str | None, str, int | None]:
        """Append the received bytes to `partial`; return why it broke (None: complete), the ETag and the whole
        length."""
        start = partial.stat().st_size if partial.exists() else 0
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and etag:
            headers["If-Range"] = etag
        response = self._repeat(
            "GET", url, lambda: self._request("GET", url, headers=headers, stream=True, allow_redirects=True)
        )
        with response:
            continues = response.status_code == requests.codes.partial_content
            if continues and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise CallError(f"GET {_shown(url)} returned another range than requested")
            expected = _content_length(response)
            if expected is not None and continues:
                expected += start
            etag = response.headers.get("ETag", "")
            etag = "" if etag.startswith("W/") else etag
            try:
                with partial.open("ab" if continues else "wb") as file:
                    # read1, since other read methods drop the last bytes before a broken connection.
                    while block := response.raw.read1(BLOCK):
                        file.write(block)
            except urllib3.exceptions.HTTPError as error:
                return type(error).__name__, etag, expected
        return None, etag, expected

    def _request(self, method: str, url: str, *, allow_redirects: bool = False, **options: Any) -> requests.Response:
        timeouts = (self._settings.connect_timeout, self._settings.read_timeout)
        address = self._transport.address(url)
        return self._session.request(method, address, timeout=timeouts, allow_redirects=allow_redirects, **options)

    def _repeat(self, method: str, url: str, send: Callable[[], requests.Response]) -> requests.Response:
        """Send until there is a final answer; raise CallError when there is none, or when it is a refusal.

        Every call is repeated, also a POST whose answer was lost: a second copy of a file is less harmful than the
        loss of hours of training.
        """
        delay = self._settings.first_delay
        for attempt in range(1, self._settings.attempts + 1):
            fault = self._attempt(method, url, send)
            if isinstance(fault, requests.Response):
                return fault
            if attempt == self._settings.attempts:
                raise fault
            log.info("%s; next attempt in %.1f s", fault, delay)
            time.sleep(delay)
            delay = min(delay * 2, self._settings.longest_delay)
        raise CallError(f"{method} {_shown(url)}: the settings allow no attempt")

    def _attempt(self, method: str, url: str, send: Callable[[], requests.Response]) -> requests.Response | CallError:
        """Return the answer, or a transient fault; raise the others."""
        where = f"{method} {_shown(url)}"
        try:
            response = send()
        except requests.exceptions.SSLError as error:
            raise CallError(f"{where}: TLS failed") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            return CallError(f"{where}: {_cause(error)}")
        except (requests.RequestException, UnicodeError) as error:
            raise CallError(f"{where}: {type(error).__name__}") from error
        if response.ok and not response.is_redirect:
            return response
        with response:
            fault = CallError(f"{where}: {_refusal(response)}", response.status_code)
        if response.status_code in TRANSIENT_STATUSES:
            return fault
        raise fault


def _content_length(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _shown(url: str) -> str:
    """Return the address without what could be a secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _cause(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "the connection timed out"
    if isinstance(error, requests.Timeout):
        return "the answer timed out"
    return "connection refused" if "refused" in str(error) else "connection failed"


def _refusal(response: requests.Response) -> str:
    """Return why a call was refused, without values that could be a patient's."""
    text = f"answered {response.status_code}"
    try:
        problem = json.loads(response.content[:BLOCK])
    except (ValueError, requests.RequestException):
        return text
    if not isinstance(problem, dict) or "title" not in problem:
        return text
    faults = [fault for fault in problem.get("errors") or [] if isinstance(fault, dict)]
    reasons = [_fault_text(str(fault.get("pointer", "")), str(fault.get("detail", ""))) for fault in faults]
    return f"{text}, {problem['title']}" + (f" ({'; '.join(reasons)})" if reasons else "")


def _fault_text(pointer: str, detail: str) -> str:
    return pointer if "patients" in pointer else f"{pointer}: {detail[:200]}"
