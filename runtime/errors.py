"""The faults that end a program of the runtime.

RuntimeFault
├── ArgumentsError   the program was started with arguments it can't follow
├── CallError        an HTTP call failed for good
├── ArchiveError     a zip can't be made or unpacked safely
├── LinkageError     the AI engine didn't do what was asked
├── ActionError      an action can't be carried out with what it found
└── Stopped          the program was told to stop
"""

from collections.abc import Sequence


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


class ActionError(RuntimeFault):
    """Tell that an action can't be carried out with what it found."""


class Stopped(RuntimeFault):
    """Tell that the program was told to stop by a signal."""
