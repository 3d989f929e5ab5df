"""Giving way: what runs for a Workflow leaves the processor to whoever answers people."""

from __future__ import annotations

import contextlib
import os

# How much further pods give way than the controller, which their ends wait for and which may hold the database.
BEYOND_THE_CONTROLLER = 5


def give_way(niceness: int) -> None:
    """Lower the priority of this process, of its session and of what it will start."""
    os.nice(niceness)
    level_session()


def level_session(pid: int | str = "self") -> None:
    """Have a session weigh what the niceness of its first process says, where it would weigh as much as any other.

    With CONFIG_SCHED_AUTOGROUP the kernel shares processors out among sessions first, and niceness counts only within
    one (sched(7), "The autogroup feature"). Not every kernel has it, and it takes only so many such wishes a second
    from users other than root.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(f"/proc/{pid}/autogroup", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, str(os.getpriority(os.PRIO_PROCESS, 0)).encode())
        finally:
            os.close(descriptor)
