"""The files of the host that a container may read: programs and their requirements, nothing else."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from engines.local.processes.identity import INSIDE

_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
# Patterns below /etc: settings of the linker, alternatives, certificates, names of services and protocols.
_SETTINGS = (
    "R", "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "crypto-policies",
    "debian_version", "fonts", "gai.conf", "host.conf", "inputrc", "java-*", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "ld-musl-*.path", "locale.alias", "localtime", "magic", "magic.mime", "mime.types",
    "nsswitch.conf", "os-release", "perl", "pki/ca-trust", "pki/java", "pki/tls/cert.pem", "pki/tls/certs",
    "pki/tls/openssl.cnf", "profile", "protocols", "python3*", "services", "shells", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
# Directories that programs expect to exist: path, mode. Each sandbox has its own, empty.
EMPTY_DIRECTORIES = (
    ("/etc", 0o755), ("/home", 0o755), ("/media", 0o755), ("/mnt", 0o755), ("/opt", 0o755), ("/root", 0o755),
    ("/run", 0o755), ("/srv", 0o755), ("/var", 0o755), ("/tmp", 0o1777), ("/var/tmp", 0o1777),  # noqa: S108 - paths inside pods
)  # fmt: skip
_PASSWD = f"root:x:0:0::/:/bin/sh\npod:x:{INSIDE}:{INSIDE}::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
_GROUP = f"root:x:0:\npod:x:{INSIDE}:\nnogroup:x:65534:\n"
ACCOUNTS = {"passwd": _PASSWD, "group": _GROUP}


class HostPath(NamedTuple):
    """A path that containers see read-only: `own` as the service sees it, else with anybody's rights."""

    path: str
    own: bool


def readable_paths(own: Iterable[str], more: Iterable[str]) -> list[HostPath]:
    """Return the paths of the host that containers see, parents first: its programs, the service's `own`, and `more`.

    A path within another one is left out, since it is visible there. For a link in `own` or `more`, its
    target is visible too.
    """
    wanted = dict.fromkeys(_with_targets(own), True)
    wanted |= dict.fromkeys((*_PROGRAMS, *_HARDWARE, *_with_targets(more)), False)
    wanted |= {path: False for pattern in _SETTINGS for path in glob.glob(f"/etc/{pattern}")}  # noqa: PTH207
    found: list[HostPath] = []
    for path in sorted(os.path.normpath(path) for path in wanted if path.startswith("/")):
        if os.path.lexists(path) and path != "/" and not _lies_in(path, [one.path for one in found]):
            found.append(HostPath(path, wanted.get(path, False)))
    return found


def _with_targets(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield from (path, os.path.realpath(path))


def _lies_in(path: str, directories: Sequence[str]) -> bool:
    return any(path == directory or path.startswith(f"{directory}/") for directory in directories)
