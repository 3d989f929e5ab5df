"""The loopback of a pod's network namespace and the addresses it listens on for its gateways."""

from __future__ import annotations

import fcntl
import re
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SET_FLAGS = 0x8914
_SET_ADDRESS = 0x8916
_SET_MASK = 0x891C
_GET_INDEX = 0x8933
_UP_AND_RUNNING = 0x41
_IPV6_FREEBIND = 78
_LOOPBACK = b"lo"
_BACKLOG = 512
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")


class Gateway(NamedTuple):
    """A gateway of a pod: the host's name and address inside pods, its port, and its real address."""

    name: str
    address: str
    port: int
    target: tuple[str, int]


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def parse_gateways(texts: Iterable[str]) -> list[Gateway]:
    """Read `host:port` or `host:port=host:port` texts; in the latter the first leads to the second.

    A host name gets its own loopback address inside the pod. Raises ValueError for any other text.
    """
    gateways = []
    names: dict[str, str] = {"localhost": "127.0.0.1"}
    for text in texts:
        known_as, _, leads_to = text.partition("=")
        host, port = _host_and_port(known_as)
        address = host if _is_address(host) else names.setdefault(host, f"127.77.0.{len(names)}")
        gateways.append(Gateway(host, address, port, _host_and_port(leads_to) if leads_to else (host, port)))
    return gateways


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_host = _is_address(host) or _HOST_NAME.fullmatch(host)
    if not is_host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"gateway {text!r} is not host:port")
    return host, int(port)


def hosts_file(gateways: Sequence[Gateway]) -> str:
    """Return the text of /etc/hosts inside a pod."""
    names = {gateway.name: gateway.address for gateway in gateways if not _is_address(gateway.name)}
    names.pop("localhost", None)
    lines = ["127.0.0.1 localhost", "::1 localhost", *(f"{address} {name}" for name, address in names.items())]
    return "\n".join(lines) + "\n"


def raise_loopback() -> None:
    """Bring `lo` up in this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", _LOOPBACK, _UP_AND_RUNNING))


def _add_address(address: str, number: int) -> None:
    if ":" in address:
        if address == "::1":
            return
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
            index = struct.unpack("16si4x", fcntl.ioctl(control, _GET_INDEX, struct.pack("16s8x", _LOOPBACK)))[1]
            request = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, address), 128, index)
            fcntl.ioctl(control, _SET_ADDRESS, request)
        return
    if address.startswith("127.") or address == "0.0.0.0":  # noqa: S104 - compared, not bound
        return
    alias = _LOOPBACK + b":%d" % number
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for call, value in ((_SET_ADDRESS, address), (_SET_MASK, "255.255.255.255")):
            fcntl.ioctl(control, call, struct.pack("16sHH4s16x", alias, socket.AF_INET, 0, socket.inet_aton(value)))


def listen(gateways: Sequence[Gateway]) -> list[socket.socket]:
    """Return a listening socket for each gateway, in this network namespace."""
    for number, address in enumerate(dict.fromkeys(gateway.address for gateway in gateways)):
        _add_address(address, number)
    listeners = []
    for gateway in gateways:
        family = socket.AF_INET6 if ":" in gateway.address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # A new address may not be ready yet.
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        listener.bind((gateway.address, gateway.port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        listeners.append(listener)
    return listeners
