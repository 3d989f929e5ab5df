"""Plays a kubelet towards a real API server: a node, pods on it, and what their containers write.

The API server asks it for logs over HTTPS as it asks any other: `GET /containerLogs/<namespace>/<pod>/<container>`.
"""

from __future__ import annotations

import secrets
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.services.api import Api
from tests.services.kubernetes import ApiServer

READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
_LOOK_SECONDS = 0.02


@dataclass
class _Output:
    """What a container has written, with the times; `cuts` counts how often its readers were cut off."""

    lines: list[tuple[str, bytes]] = field(default_factory=list)
    ended: bool = False
    cuts: int = 0


class Kubelet:
    """A node of the cluster, from `with` to the end of the block."""

    def __init__(self, server: ApiServer, labels: dict[str, str] | None = None) -> None:
        self.name = f"node-{secrets.token_hex(4)}"
        self._api: Api = server.api
        self._labels = labels or {}
        self._outputs: dict[tuple[str, ...], _Output] = {}
        self.changed = threading.Condition()
        issued = server.authority.issue(self.name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.kubelet = self
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(_LOOK_SECONDS,))

    def __enter__(self) -> Kubelet:
        self._thread.start()
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._http.server_port}},
            "conditions": [READY],
        }
        self._api.post("/api/v1/nodes", {"metadata": {"name": self.name, "labels": self._labels}, "status": status})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.changed:
            for output in self._outputs.values():
                output.ended = True
            self.changed.notify_all()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._api.delete(f"/api/v1/nodes/{self.name}")

    # What a test tells it

    def run(
        self,
        namespace: str,
        workflow: str,
        name: str,
        *,
        node_id: str = "",
        containers: Iterable[str] = ("wait", "main"),
        init: Iterable[str] = ("init",),
    ) -> None:
        """Have a pod of a Workflow run on this node, all its containers started."""
        labels = {"workflows.argoproj.io/workflow": workflow}
        annotations = {"workflows.argoproj.io/node-id": node_id or name}
        spec = {
            "nodeName": self.name,
            "containers": [{"name": container, "image": "none"} for container in containers],
            "initContainers": [{"name": container, "image": "none"} for container in init],
        }
        metadata = {"name": name, "labels": labels, "annotations": annotations}
        self._api.post(f"/api/v1/namespaces/{namespace}/pods", {"metadata": metadata, "spec": spec})
        running = {"running": {"startedAt": "2026-11-21T12:00:00Z"}}
        status = {
            "phase": "Running",
            "startTime": "2026-11-21T12:00:00Z",
            "initContainerStatuses": [container_status(container, running) for container in init],
            "containerStatuses": [container_status(container, running) for container in containers],
        }
        self.tell(namespace, name, status)

    def tell(self, namespace: str, pod: str, status: dict[str, Any]) -> None:
        """Change the status of a pod."""
        self._api.patch(f"/api/v1/namespaces/{namespace}/pods/{pod}/status", {"status": status})

    def write(self, namespace: str, pod: str, container: str, text: str, at: str = "") -> None:
        """Have a container write a line."""
        at = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        with self.changed:
            self.output(namespace, pod, container).lines.append((at, text.encode()))
            self.changed.notify_all()

    def end(self, namespace: str, pod: str) -> None:
        """Have all containers of a pod end."""
        with self.changed:
            for key, output in self._outputs.items():
                output.ended = output.ended or key[:2] == (namespace, pod)
            self.changed.notify_all()

    def cut(self, namespace: str, pod: str, container: str) -> None:
        """End the streams of a container that goes on."""
        with self.changed:
            self.output(namespace, pod, container).cuts += 1
            self.changed.notify_all()

    def output(self, *key: str) -> _Output:
        return self._outputs.setdefault(key, _Output())


def container_status(name: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the status of a container, with the fields that the API server insists on."""
    return {"name": name, "state": state, "image": "none", "imageID": "", "ready": False, "restartCount": 0, **more}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    kubelet: Kubelet

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller that has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        key, query = parts.path.strip("/").split("/")[1:], parse_qs(parts.query)
        since = query.get("sinceTime", [""])[0][:19]
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        # Kept back until something is written, as a real one does.
        self._headers_buffer.append(b"\r\n")
        for at, line in self._lines(key, "follow" in query):
            if at[:19] >= since:
                self._send(at.encode() + b" " + line + b"\n" if "timestamps" in query else line + b"\n")
        self._send(b"")

    def _lines(self, key: list[str], follow: bool) -> Iterable[tuple[str, bytes]]:
        kubelet, told, is_last = self.server.kubelet, 0, False
        with kubelet.changed:
            output = kubelet.output(*key)
            cuts = output.cuts
        while not is_last:
            with kubelet.changed:
                while follow and not (output.ended or output.cuts > cuts or len(output.lines) > told):
                    kubelet.changed.wait()
                fresh, is_last = output.lines[told:], not follow or output.ended or output.cuts > cuts
            yield from fresh
            told += len(fresh)

    def _send(self, data: bytes) -> None:
        self.flush_headers()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
