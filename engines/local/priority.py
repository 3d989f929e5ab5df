"""Lower the priority of Workflows, so that the processor serves callers first."""

from __future__ import annotations

import contextlib
import os

# The niceness of pods above the controller's, which handles their ends and may hold the database.
BEYOND_THE_CONTROLLER = 5


def give_way(niceness: int) -> None:
    """Lower the priority of this process, of its session and of what it will start."""
    os.nice(niceness)
    level_session()


def level_session(pid: int | str = "self") -> None:
    """Give a session the niceness of its first process; by default all sessions weigh the same.

    With CONFIG_SCHED_AUTOGROUP the kernel shares processors out among sessions first, and niceness counts only within
    one (sched(7), "The autogroup feature"). Not every kernel has it, and it accepts only a few such changes a second
    from users other than root.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, str(os.getpriority(os.PRIO_PROCESS, 0)).encode())
        finally:
            os.close(descriptor)
