"""The parameters of a sandbox, set by the supervisor before it forks the sandbox."""

from __future__ import annotations

from typing import NamedTuple

from engines.local.processes.host_files import HostPath


class SandboxPlan(NamedTuple):
    """A sandbox's own folder, its run's folder, its gateways, and the limits of its containers.

    `gateways` are as `network.parse_gateways` reads them; `readable` the paths of the host that containers see;
    `user` the id they have outside, None for the service's own; `most_processes` how many (threads included) one
    container may have; `owner` is the owner of its control groups (cgroups.py).
    """

    directory: str
    run: str
    gateways: tuple[str, ...]
    readable: tuple[HostPath, ...]
    user: int | None
    most_processes: int
    owner: str
