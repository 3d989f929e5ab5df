"""What is wrong with an address to listen on. Imports no Django."""

from __future__ import annotations

import errno
import socket

_REASONS = {
    errno.EADDRINUSE: "another program listens there; expected a free port",
    errno.EADDRNOTAVAIL: "this machine has no such address; expected one of its own",
    errno.EACCES: "this user may not listen there; expected a port from 1024",
}


def reason_of(error: OSError) -> str:
    """Return why an address cannot be listened on, in words."""
    if (error.errno or 0) < 0:  # those of getaddrinfo
        return "no such name is known; expected an address of this machine"
    return _REASONS.get(error.errno or 0, error.strerror or "it cannot be listened on")


def complaint_of(address: tuple[str, int]) -> str:
    """Return what keeps one from listening on an address of this machine, or an empty text."""
    host, port = address
    if port not in range(2**16):
        return f"{host}:{port}: expected a port to 65535"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        return f"{host}:{port}: {reason_of(error)}"
    return ""
