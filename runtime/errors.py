"""The faults that end a program of the runtime.

RuntimeFault
├── ArgumentsError   the program was started with arguments it can't follow
├── CallError        an HTTP call failed for good
├── ArchiveError     a zip can't be made or unpacked safely
├── LinkageError     the AI engine didn't do what was asked
│   └── ModelsUnmergeable   it can't merge the models of the clients that it names
├── ActionError      an action can't be carried out with what it found
└── Stopped          the program was told to stop
"""

import re
from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 4000


def storable(text: str) -> str:
    """Return a text without the characters that no receiver stores: NUL, and surrogates that stand alone."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def plain_message(message: str) -> str:
    """Return a message that may be pasted between the quotes of a JSON document or a shell word."""
    return re.sub(r"\s+", " ", re.sub(r"[\"'`\\\x00-\x08\x0e-\x1f]", "", message)).strip()[:MESSAGE_LIMIT]


class RuntimeFault(Exception):
    """Base of all faults whose text may be shown to the person who started the work."""


class ArgumentsError(RuntimeFault):
    """Name every fault found in a program's arguments."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class CallError(RuntimeFault):
    """Tell that an HTTP call failed; `status` is None when no answer came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class ArchiveError(RuntimeFault):
    """Tell that a zip can't be made or unpacked safely."""


class LinkageError(RuntimeFault):
    """Tell that the AI engine failed, or didn't answer in time."""


class ModelsUnmergeable(LinkageError):
    """Tell that the AI engine can't merge the models of some clients; `clients` has the reason for each."""

    def __init__(self, message: str, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__(message)


class ActionError(RuntimeFault):
    """Tell that an action can't be carried out with what it found."""


class Stopped(RuntimeFault):
    """Tell that the program was told to stop by a signal."""
