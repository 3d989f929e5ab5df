"""The port that both adapters implement."""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from blake3 import blake3

from runtime.federated_manager.errors import ModelError
from runtime.federated_manager.messages import Topic

# Contents up to this length are kept in memory, longer ones on disk.
SMALL = 64 * 1024
READ_LIMIT = 16 * 1024 * 1024
BLOCK = 1024 * 1024


class Content(ABC):
    """What a message carries: bytes to read, a file to save, or nothing."""

    size: int

    @abstractmethod
    def save(self, target: Path) -> None:
        """Put the content into a file; may be called once."""

    @abstractmethod
    def read(self) -> bytes:
        """Return the content; raise ModelError when it is longer than READ_LIMIT; only models are."""

    @abstractmethod
    def discard(self) -> None:
        """Release its memory or file."""


@dataclass(frozen=True)
class SmallContent(Content):
    """Content kept in memory."""

    data: bytes

    @property
    def size(self) -> int:  # type: ignore[override]
        """Return its length in bytes."""
        return len(self.data)

    def save(self, target: Path) -> None:
        """Write it."""
        target.write_bytes(self.data)

    def read(self) -> bytes:
        """Return it."""
        return self.data

    def discard(self) -> None:
        """Do nothing: memory needs no clearing."""


@dataclass(frozen=True)
class SpooledContent(Content):
    """Content in a file of the channel."""

    path: Path
    size: int

    def save(self, target: Path) -> None:
        """Move the file."""
        shutil.move(self.path, target)

    def read(self) -> bytes:
        """Read the file, and remove it."""
        check_readable(self.size)
        data = self.path.read_bytes()
        self.discard()
        return data

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Message:
    """One message; `content` is None for the null value, which reports a failure."""

    topic: Topic
    offset: int
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content | None = None

    def discard(self) -> None:
        """Release the content."""
        if self.content is not None:
            self.content.discard()


class Channel(ABC):
    """The three topics of one federated training; used by one thread, as a context manager.

    Transient faults are repeated by the adapter: `read` returns None meanwhile, `publish` waits. ChannelError is
    raised for permanent faults, and for the others after `patience` seconds.
    """

    patience: float

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def publish(self, topic: Topic, key: str, headers: Mapping[str, str], value: bytes | Path | None) -> None:
        """Append a message and return when it is stored; a file is never in memory as a whole."""

    @abstractmethod
    def read(self, topic: Topic, wait: float) -> Message | None:
        """Return the topic's next message, None when none comes within `wait` seconds.

        The first one read is the oldest that is stored, or the last one after `skip_to_last`.
        """

    @abstractmethod
    def skip_to_last(self, topic: Topic) -> bool:
        """Let the next message read be the last one stored now; return False when there is none."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""


def check_readable(size: int) -> None:
    """Raise ModelError when a content is too long for memory."""
    if size > READ_LIMIT:
        raise ModelError(f"a message has {size} bytes; expected at most {READ_LIMIT}")


def blake3_of(path: Path) -> str:
    """Return a file's BLAKE3 in hexadecimal; many times faster than SHA-256 on processors without SHA instructions."""
    taken = blake3()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            taken.update(block)
    return taken.hexdigest()


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
