"""A proxy that ends TLS in front of a service, as a hospital's does: it says whom it speaks for and how he came."""

from __future__ import annotations

import socket
import ssl
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from types import TracebackType
from typing import Self

from tests.services.certificates import Certificate

_CHUNK = 65536


class TlsProxy:
    """Listens on a loopback address with a certificate and passes requests on to `target`, one for each connection."""

    def __init__(
        self, certificate: Certificate, target: tuple[str, int], port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.certificate, certificate.key)

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                # A caller that does not trust us says so in the middle of the handshake.
                try:
                    with context.wrap_socket(self.request, server_side=True) as caller:
                        _pass_on(caller, target, self.client_address[0])
                except OSError:
                    pass

        self._server = _Server((host, port), Handler)
        self.hostname = f"{host}:{self._server.server_address[1]}"
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


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def _pass_on(caller: ssl.SSLSocket, target: tuple[str, int], address: str) -> None:
    head, _, body = _head(caller).partition(b"\r\n\r\n")
    first, *others = head.split(b"\r\n")
    dropped = (b"x-forwarded-", b"connection:")
    kept = [line for line in others if not line.lower().startswith(dropped)]
    own = [b"X-Forwarded-Proto: https", b"X-Forwarded-For: " + address.encode(), b"Connection: close"]
    with socket.create_connection(target, timeout=60) as service:
        service.sendall(b"\r\n".join([first, *kept, *own]) + b"\r\n\r\n" + body)
        # One after the other: a TLS connection is not for two threads.
        left = _content_length(others) - len(body)
        while left > 0 and (chunk := caller.recv(min(left, _CHUNK))):
            service.sendall(chunk)
            left -= len(chunk)
        while chunk := service.recv(_CHUNK):
            caller.sendall(chunk)
    caller.unwrap()


def _head(caller: ssl.SSLSocket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found and (chunk := caller.recv(_CHUNK)):
        found += chunk
    return found


def _content_length(headers: list[bytes]) -> int:
    return sum(int(line.partition(b":")[2]) for line in headers if line.lower().startswith(b"content-length:"))
