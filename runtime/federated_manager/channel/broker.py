"""A connection to one Kafka broker: small requests in kafka-python's form, large ones from and to blocks."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafka.errors import NoError, for_code
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.sasl import SaslAuthenticateRequest, SaslHandshakeRequest

from runtime.federated_manager.channel.base import BLOCK
from runtime.federated_manager.errors import ChannelError

log = logging.getLogger(__name__)

CLIENT_ID = "federated-manager"
CONNECT_TIMEOUT = 10.0
REQUEST_TIMEOUT = 60.0
UNKNOWN = -1
SMALL_FRAME_LIMIT = 16 * 1024 * 1024
# Bytes that are sent in pieces.
Row = Sequence[bytes | memoryview]

_REQUEST_HEAD = struct.Struct(">hhih")


class BrokerGone(Exception):
    """The connection failed; the request may have been carried out."""


class BrokerRefused(Exception):
    """The broker answered with an error; `retriable` says whether it may pass."""

    def __init__(self, code: int, what: str) -> None:
        kind = for_code(code)
        self.code, self.name = code, kind.__name__
        # A broker without enough memory for a large model answers only "unknown".
        self.retriable = bool(kind.retriable) or code == UNKNOWN
        super().__init__(f"{what}: {kind.__name__} ({code})")


@dataclass(frozen=True)
class Security:
    """The security settings for brokers.

    `authority` is a file of certificates to trust instead of the system's, `authority_text` such certificates (PEM).
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = ""
    authority: Path | None = None
    authority_text: str = ""

    @property
    def encrypted(self) -> bool:
        """Tell whether connections use TLS; certificates are always verified."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def authenticated(self) -> bool:
        """Tell whether a user name is given to the broker."""
        return self.protocol.startswith("SASL_")


class Frame:
    """An answer that is read as it is used."""

    def __init__(self, read: Callable[[int], bytearray], size: int) -> None:
        self._read, self.left = read, size

    def read(self, size: int) -> bytearray:
        """Return so many bytes."""
        if size > self.left:
            raise BrokerGone("the answer is shorter than announced")
        self.left -= size
        return self._read(size)

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Return big-endian values in struct's notation."""
        return struct.unpack(f">{layout}", self.read(struct.calcsize(f">{layout}")))

    def skip_string(self) -> None:
        """Skip a string."""
        self.read(self.unpack("h")[0])


class BrokerConnection:
    """One connection, for one thread, one request at a time; raises BrokerGone when it breaks."""

    def __init__(self, host: str, port: int, security: Security) -> None:
        self._address = f"{host}:{port}"
        self._number = 0
        try:
            plain = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = plain
            if security.encrypted:
                context = ssl.create_default_context(cafile=security.authority, cadata=security.authority_text or None)
                self._socket = context.wrap_socket(plain, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise ChannelError(f"Kafka at {self._address} is not trusted: {error.verify_message}") from error
        except OSError as error:
            raise BrokerGone(f"cannot connect to Kafka at {self._address}: {error}") from error
        if security.authenticated:
            try:
                self._authenticate(host, security)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, request: Any) -> Any:
        """Send a request of kafka-python's, whose version is set, and return the response."""
        self._number += 1
        request.with_header(correlation_id=self._number, client_id=CLIENT_ID)
        frame = self._exchange([[bytes(request.encode(framed=True, header=True))]], REQUEST_TIMEOUT)
        if frame.left > SMALL_FRAME_LIMIT:
            raise BrokerGone(f"an answer of {frame.left} bytes")
        response_type = request.header.get_response_class()
        return response_type.decode(frame.read(frame.left), header=False)

    def stream(
        self, api: tuple[int, int], head: bytes, rows: Iterable[Row] = (), *, size: int = 0, wait: float = 0
    ) -> Frame:
        """Send a request of `head` and rows of `size` bytes together; return the answer to be read.

        `api` is the request's key and version. The answer must be read to its end before the next request.
        `wait` is how long the broker may take beside the usual time-out.
        """
        self._number += 1
        name = CLIENT_ID.encode()
        request = _REQUEST_HEAD.pack(*api, self._number, len(name)) + name + head
        length = struct.pack(">i", len(request) + size)
        return self._exchange(chain([[length + request]], rows), REQUEST_TIMEOUT + wait)

    def _exchange(self, rows: Iterable[Row], timeout: float) -> Frame:
        try:
            self._socket.settimeout(timeout)
            for row in rows:
                self._send(row)
        except OSError as error:
            raise BrokerGone(f"the connection to {self._address} broke: {error}") from error
        (size,) = struct.unpack(">i", self._receive(4))
        if size < 4:
            raise BrokerGone("a malformed answer")
        frame = Frame(self._receive, size)
        (number,) = frame.unpack("i")
        if number != self._number:
            raise BrokerGone("an answer to another request")
        return frame

    def _send(self, row: Row) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.sendall(b"".join(row))
            return
        # Without a copy: joining a model's pieces takes as long as sending them.
        left = [memoryview(piece) for piece in row]
        while left:
            sent = self._socket.sendmsg(left)
            while left and sent >= len(left[0]):
                sent -= len(left.pop(0))
            if sent:
                left[0] = left[0][sent:]

    def _receive(self, size: int) -> bytearray:
        received = bytearray(size)
        left = memoryview(received)
        while left:
            try:
                count = self._socket.recv_into(left, min(len(left), BLOCK))
            except OSError as error:
                raise BrokerGone(f"the connection to {self._address} broke: {error}") from error
            if not count:
                raise BrokerGone(f"{self._address} closed the connection")
            left = left[count:]
        return received

    def _authenticate(self, host: str, security: Security) -> None:
        handshake = self.call(SaslHandshakeRequest(mechanism=security.mechanism, version=1))
        _check(handshake.error_code, f"authentication by {security.mechanism}")
        mechanism = get_sasl_mechanism(security.mechanism)(
            host=host,
            security_protocol=security.protocol,
            sasl_mechanism=security.mechanism,
            sasl_plain_username=security.username,
            sasl_plain_password=security.password,
        )
        while not mechanism.is_done():
            answer = self.call(SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes(), version=0))
            _check(answer.error_code, f"authentication as {security.username}")
            mechanism.receive(answer.auth_bytes)


def _check(code: int, what: str) -> None:
    if for_code(code) is not NoError:
        raise BrokerRefused(code, what)
