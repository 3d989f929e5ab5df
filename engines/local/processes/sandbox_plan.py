"""What a sandbox is made with, said once by the supervisor before it is forked."""

from __future__ import annotations

from typing import NamedTuple

from engines.local.processes.host_files import HostPath


class SandboxPlan(NamedTuple):
    """A sandbox's own folder, that of its run, the ways out of it, and what its containers are held to.

    `gateways` are as `network.parse_gateways` reads them; `readable` what of the host containers see; `user` the id
    they have outside, None for the service's own; `most_processes` how many (threads included) one container may have;
    `owner` says whose control groups they are (cgroups.py).
    """

    directory: str
    run: str
    gateways: tuple[str, ...]
    readable: tuple[HostPath, ...]
    user: int | None
    most_processes: int
    owner: str
