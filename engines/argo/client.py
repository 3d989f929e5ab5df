"""The client of the API server: paced, with time-outs, with plain objects and the port's errors.

Authentication and TLS are the Kubernetes client's. Its generated models are not used: they take ten times the time and
memory of their JSON.

    EngineUnavailable        no answer, or an unusable one
    ├── Quiet                a streamed answer has sent nothing for the given time
    └── Refused              the server refused; callers catch the statuses that they know
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import kubernetes.client
import kubernetes.config
import orjson
import urllib3
import yaml

from engines.argo.options import Options
from engines.argo.pacing import TokenBucket, TooFast
from engines.base import EngineUnavailable

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
# A call takes at most this many time-outs, however slowly its answer arrives.
_PATIENCE = 4
_TRIES_WHEN_THROTTLED = 4
_READ_BYTES = 256 * 1024
# Objects in etcd are far smaller.
LONGEST_LINE = 64 * 1024**2
_IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NOT_USABLE = (kubernetes.config.ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError)


class Quiet(EngineUnavailable):
    """The API server has sent nothing for a while."""


class Refused(EngineUnavailable):
    """The API server refused; `status` is the HTTP status, `answer` its Status object, empty if it sent none."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__(f"the API server refused ({status}): {answer.get('message') or 'no reason given'}")
        self.status = status
        self.answer = answer

    @property
    def words(self) -> str:
        return str(self.answer.get("message") or self.answer.get("reason") or f"HTTP status {self.status}")


class Client:
    """A client of one API server. It connects at the first call, so that the service starts without the cluster."""

    def __init__(self, options: Options, bucket: TokenBucket, leaving: float = 0.0) -> None:
        """Take turns from a bucket; `leaving` turns are always left to more important callers."""
        self._options = options
        self._bucket = bucket
        self._leaving = leaving
        self._lock = threading.Lock()
        self._api: kubernetes.client.ApiClient | None = None

    def get(self, path: str, **query: Any) -> Json:
        """Return an object or a list. Raises `EngineUnavailable`, as `Refused` where the server answered."""
        return self._call("GET", path, query=query)

    def find(self, path: str) -> Json | None:
        """Return an object, or None where it does not exist; raises as `get`."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def post(self, path: str, body: Json) -> Json:
        """Create an object and return it; raises as `get`."""
        return self._call("POST", path, body=body)

    def patch(self, path: str, body: Json) -> Json:
        """Merge into an object and return it; raises as `get`."""
        return self._call("PATCH", path, body=body, content_type=MERGE_PATCH)

    def delete(self, path: str, body: Json) -> None:
        """Delete an object, with DeleteOptions; raises as `get`."""
        self._call("DELETE", path, body=body)

    @contextlib.contextmanager
    def lines(
        self, path: str, quiet_seconds: float, longest: int = LONGEST_LINE, **query: Any
    ) -> Iterator[Iterator[bytes]]:
        """Open a streamed answer, and give its lines as they come, without their ends.

        A line of more than about `longest` bytes comes in pieces. A last line without an end is given only where
        the server ended the answer itself; a connection that breaks raises `EngineUnavailable`, and `Quiet` where
        nothing comes for `quiet_seconds`.
        """
        answer = self._open("GET", path, query=query, quiet_seconds=quiet_seconds)
        try:
            yield _lines(answer, longest)
        finally:
            # It was not read to its end, so its connection cannot be reused.
            answer.close()
            answer.release_conn()

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        answer = self._open(method, path, query=query, body=body, content_type=content_type)
        try:
            found = _read(answer, self._options.timeout_seconds * _PATIENCE)
        except EngineUnavailable:
            answer.close()
            raise
        finally:
            answer.release_conn()
        return found

    def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        quiet_seconds: float = 0.0,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return its unread answer; waits where the server gets too many requests."""
        timeout = self._options.timeout_seconds
        data = None if body is None else json.dumps(body).encode()
        address = f"{path}?{urlencode(query)}" if query else path
        refused: Refused | None = None
        for _ in range(_TRIES_WHEN_THROTTLED):
            try:
                self._bucket.take(timeout, self._leaving)
            except TooFast:
                break
            answer = self._send(method, address, data, content_type, quiet_seconds)
            if answer.status < 400:
                return answer
            refused = _refusal(answer, timeout)
            if answer.status != 429:
                raise refused
            self._bucket.close_for(_retry_after(answer))
        raise refused or EngineUnavailable("the requests to the API server exceed the configured rate")

    def _send(
        self, method: str, address: str, data: bytes | None, content_type: str, quiet_seconds: float
    ) -> urllib3.BaseHTTPResponse:
        api, timeout = self._connected(), self._options.timeout_seconds
        headers = {"Accept": "application/json", "User-Agent": "orchestrator"}
        if not quiet_seconds:
            # Lists come compressed then, in a few large pieces instead of one for each object.
            headers["Accept-Encoding"] = "gzip"
        if data is not None:
            headers["Content-Type"] = content_type
        try:
            api.update_params_for_auth(headers, [], ["BearerToken"])
            pool: urllib3.PoolManager = api.rest_client.pool_manager
            return pool.request(
                method,
                api.configuration.host + address,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(connect=timeout, read=quiet_seconds or timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            if quiet_seconds and isinstance(error, urllib3.exceptions.ReadTimeoutError):
                # A kubelet begins its answer with the first line of a log.
                raise Quiet("the API server has sent nothing for a while") from error
            raise EngineUnavailable(f"the API server does not answer: {error}") from error
        except _NOT_USABLE as error:
            raise EngineUnavailable(f"the credentials for the API server cannot be read: {error}") from error

    def _connected(self) -> kubernetes.client.ApiClient:
        with self._lock:
            if self._api is None:
                self._api = kubernetes.client.ApiClient(_configuration(self._options))
            return self._api


def _configuration(options: Options) -> kubernetes.client.Configuration:
    configuration = kubernetes.client.Configuration()
    try:
        if not options.kubeconfig and os.environ.get("KUBERNETES_SERVICE_HOST") and _IN_CLUSTER_TOKEN.exists():
            kubernetes.config.load_incluster_config(client_configuration=configuration)
        else:
            kubernetes.config.load_kube_config(
                config_file=options.kubeconfig or None,
                context=options.context or None,
                client_configuration=configuration,
            )
    except _NOT_USABLE as error:
        raise EngineUnavailable(f"no cluster is configured: {error}") from error
    parts = urlsplit(configuration.host)
    if not configuration.verify_ssl or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
        raise EngineUnavailable(
            f"the API server {configuration.host} must be reached by HTTPS with verified certificates"
        )
    configuration.connection_pool_maxsize = 32
    configuration.socket_options = _keep_alive()
    return configuration


def _keep_alive() -> list[tuple[int, int, int]]:
    """Return socket options that detect a vanished peer within half a minute."""
    found = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            found.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return found


def _read(answer: urllib3.BaseHTTPResponse, longest_seconds: float) -> Json:
    until, pieces = time.monotonic() + longest_seconds, []
    try:
        while piece := answer.read1(_READ_BYTES):
            pieces.append(piece)
            if time.monotonic() > until:
                raise EngineUnavailable("the API server's answer took too long")
        found = orjson.loads(b"".join(pieces))
    except urllib3.exceptions.HTTPError as error:
        raise EngineUnavailable(f"the API server's answer broke off: {error}") from error
    except orjson.JSONDecodeError as error:
        raise EngineUnavailable("the API server's answer is not JSON") from error
    if not isinstance(found, dict):
        raise EngineUnavailable("the API server's answer is not an object")
    return found


def _lines(answer: urllib3.BaseHTTPResponse, longest: int) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := answer.read1(_READ_BYTES):
            *ended, rest = piece.split(b"\n")
            for line in ended:
                yield b"".join([*pieces, line])
                pieces, size = [], 0
            pieces.append(rest)
            size += len(rest)
            if size > longest:
                yield b"".join(pieces)
                pieces, size = [], 0
    except urllib3.exceptions.ReadTimeoutError as error:
        raise Quiet("the API server has sent nothing for a while") from error
    except urllib3.exceptions.HTTPError as error:
        raise EngineUnavailable(f"the API server's answer broke off: {error}") from error
    if last := b"".join(pieces):
        yield last


def _refusal(answer: urllib3.BaseHTTPResponse, longest_seconds: float) -> Refused:
    try:
        said = _read(answer, longest_seconds)
    except EngineUnavailable as error:
        answer.close()
        said = {"message": f"HTTP status {answer.status}; {error}"}
    finally:
        answer.release_conn()
    return Refused(answer.status, said)


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isdigit() else 1.0
