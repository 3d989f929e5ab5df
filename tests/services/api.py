"""A Kubernetes API server as tests speak to it: JSON over one pool of connections, nothing of the engine's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

TIMEOUT_SECONDS = 30.0
MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The server refused; `status` is its HTTP status, `reason` what its Status object says."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:500]}")
        self.status = status
        try:
            self.reason = str(json.loads(body).get("reason", ""))
        except (ValueError, AttributeError):
            self.reason = ""


class Api:
    """Speaks to one API server as one user."""

    def __init__(self, server: str, authority: Path, token: str) -> None:
        self.server = server
        self.token = token
        self._pool = urllib3.PoolManager(maxsize=16, ca_certs=str(authority), retries=False)

    def close(self) -> None:
        self._pool.clear()

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> dict[str, Any]:
        """Send one request and return the answer's object. Raises `ApiError`."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, self.server + path, body=data, headers=headers, timeout=TIMEOUT_SECONDS)
        if answer.status >= 400:
            raise ApiError(answer.status, answer.data.decode(errors="replace"))
        found: dict[str, Any] = json.loads(answer.data) if answer.data[:1] == b"{" else {}
        return found

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Any) -> dict[str, Any]:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: Any) -> dict[str, Any]:
        return self.call("PATCH", path, body, MERGE_PATCH)

    def delete(self, path: str) -> None:
        """Delete an object; one that is not there is no error."""
        try:
            self.call("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def list(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return every object of a collection."""
        return list(self.get(path, **query).get("items") or [])

    def watch(self, path: str, version: str, seconds: int) -> Watch:
        """Return the events of a collection after a resource version, for so many seconds. Raises `ApiError`."""
        query = urlencode({"watch": "true", "resourceVersion": version, "timeoutSeconds": seconds})
        answer = self._pool.request(
            "GET",
            f"{self.server}{path}?{query}",
            headers={"Authorization": f"Bearer {self.token}"},
            preload_content=False,
            timeout=urllib3.Timeout(connect=TIMEOUT_SECONDS, read=seconds + TIMEOUT_SECONDS),
        )
        if answer.status >= 400:
            raise ApiError(answer.status, answer.read().decode(errors="replace"))
        return Watch(answer)


class Watch:
    """Yields a watch's events, until its time is over or another thread calls `stop`."""

    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer
        self._stopped = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rest = b""
        try:
            for chunk in self._answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        except urllib3.exceptions.HTTPError:
            if not self._stopped:
                raise
        finally:
            self._answer.close()

    def stop(self) -> None:
        """Let the iteration end."""
        self._stopped = True
        self._answer.shutdown()
