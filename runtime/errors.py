"""The faults that end a program of the runtime.

RuntimeFault
├── ArgumentsError   the program was started with wrong arguments
├── CallError        an HTTP call failed for good
├── ArchiveError     a zip can't be made or unpacked safely
├── LinkageError     the AI engine failed or did not answer
│   └── ModelsUnmergeable   it cannot merge the models of some clients
├── ActionError      an action cannot be carried out with its inputs
└── Stopped          the program was told to stop
"""

import re
from collections.abc import Mapping, Sequence

MESSAGE_LIMIT = 4000


def storable(text: str) -> str:
    """Return a text without characters that receivers cannot store: NUL and lone surrogates."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def plain_message(message: str) -> str:
    """Return a message that may be pasted between the quotes of a JSON document or a shell word."""
    return re.sub(r"\s+", " ", re.sub(r"[\"'`\\\x00-\x08\x0e-\x1f]", "", message)).strip()[:MESSAGE_LIMIT]


class RuntimeFault(Exception):
    """Base of all faults whose text may be shown to the person who started the work."""


class ArgumentsError(RuntimeFault):
    """Report every fault in a program's arguments."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class CallError(RuntimeFault):
    """Report that an HTTP call failed; `status` is None when no answer came."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class ArchiveError(RuntimeFault):
    """Report that a zip cannot be made or unpacked safely."""


class LinkageError(RuntimeFault):
    """Report that the AI engine failed, or did not answer in time."""


class ModelsUnmergeable(LinkageError):
    """Report that the AI engine cannot merge the models of some clients; `clients` has the reason for each."""

    def __init__(self, message: str, clients: Mapping[str, str]) -> None:
        self.clients = dict(clients)
        super().__init__(message)


class ActionError(RuntimeFault):
    """Report that an action cannot be carried out with its inputs."""


class Stopped(RuntimeFault):
    """Report that a signal stops the program."""
