"""The small HTTP servers inside pods."""

import socketserver
from http.server import ThreadingHTTPServer
from typing import cast


class SmallServer(ThreadingHTTPServer):
    """Serve on a host and port, each request in its own thread."""

    daemon_threads = True
    allow_reuse_address = True

    def server_bind(self) -> None:
        """Bind without asking for the host's full name: a pod may have no name server, and the query would block."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = cast(tuple[str, int], self.server_address[:2])


def split_host(host_and_port: str) -> tuple[str, int]:
    """Split `host:port`, with or without `http://`; raise ValueError without a port."""
    text = host_and_port.strip().removeprefix("http://").rstrip("/")
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{host_and_port!r} is not of the form host:port")
    return host.strip("[]"), int(port)
