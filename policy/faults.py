"""What is wrong with a manifest, and where."""

from __future__ import annotations

from dataclasses import dataclass


def escape(key: object) -> str:
    """Return a key as one token of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True)
class Place:
    """A place in the text; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class ManifestFault:
    """One fault. `pointer` is a JSON pointer into the manifest; `place` is None where no place in the text is known."""

    pointer: str
    detail: str
    place: Place | None = None


class Unreadable(Exception):
    """The text cannot be read as one manifest."""

    def __init__(self, fault: ManifestFault) -> None:
        super().__init__(fault.detail)
        self.fault = fault
