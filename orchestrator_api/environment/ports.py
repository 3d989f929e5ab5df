"""What is wrong with an address to listen on. Imports no Django."""

from __future__ import annotations

import errno
import socket

_REASONS = {
    errno.EADDRINUSE: "another program listens on this port; expected a free port",
    errno.EADDRNOTAVAIL: "this machine has no such address; expected an address of this machine",
    errno.EACCES: "this user may not listen on this port; expected a port from 1024",
}


def reason_of(error: OSError) -> str:
    """Return why the service cannot listen on an address, as a message."""
    if (error.errno or 0) < 0:  # those of getaddrinfo
        return "the host name is not known; expected an address of this machine"
    return _REASONS.get(error.errno or 0, error.strerror or "the service cannot listen on it")


def complaint_of(address: tuple[str, int]) -> str:
    """Return why the service cannot listen on an address of this machine, or ''."""
    host, port = address
    if port not in range(2**16):
        return f"{host}:{port}: expected a port up to 65535"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return f"{host}:{port}: {reason_of(error)}"
    return ""
