"""A pod's volumes as files of this machine: https://kubernetes.io/docs/concepts/storage/volumes/."""

# ruff: noqa: PTH103, PTH118

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engines.local import beneath
from engines.local.names import parts_of
from engines.local.pods import Mount
from engines.local.quantities import bytes_of

KINDS = ("emptyDir", "configMap", "secret", "hostPath")
# A volumeClaimTemplate as a volume: the number of a folder that all pods of the Workflow share. No manifest has it.
WORKFLOW_CLAIM = "workflow claim"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_TO_ALL = 0o777

Files = Mapping[str, Mapping[str, str]]


class VolumeNotReady(Exception):
    """A volume that may come later; the pod is pending until then, as on a cluster."""


class VolumeRefused(Exception):
    """A volume that this engine refuses."""


class HostPaths(NamedTuple):
    """The paths of the host that may be mounted: `allowed`, `writable` ones among them, except `hidden` ones."""

    allowed: Sequence[str] = ()
    writable: Sequence[str] = ()
    hidden: Sequence[str] = ()


class Made(NamedTuple):
    """A ready volume: `below` in the directory `source`; `limit` is (bytes, the manifest's text)."""

    source: str
    below: str
    read_only: bool
    limit: tuple[int, str] | None = None


class Volumes:
    """Makes the volumes of one Workflow's pods."""

    def __init__(self, config_maps: Files, secrets: Files, host: HostPaths, claims: str = "") -> None:
        self.claims = claims
        self.config_maps = config_maps
        self.secrets = secrets
        self.host = host

    def check(self, template: dict[str, Any], used: set[str]) -> None:
        """Raise `VolumeNotReady` or `VolumeRefused` where a volume that a pod uses cannot be made."""
        declared = {volume["name"]: volume for volume in template.get("volumes") or ()}
        for name in sorted(used):
            if name not in declared:
                raise VolumeRefused(f'volumeMount "{name}": no volume has this name')
            self._check_one(declared[name])

    def _check_one(self, volume: dict[str, Any]) -> None:
        if _is_host_path(volume):
            self._host_path(volume)
        elif volume.get("configMap") is not None:
            self._texts(volume, volume["configMap"], volume["configMap"].get("name"), self.config_maps, "configmap")
        elif volume.get("secret") is not None:
            self._texts(volume, volume["secret"], volume["secret"].get("secretName"), self.secrets, "secret")

    def make(self, template: dict[str, Any], used: set[str], directory: str) -> dict[str, Made]:
        """Make the volumes that a pod uses, each in a numbered folder; return them by name."""
        made: dict[str, Made] = {}
        os.makedirs(directory, exist_ok=True)
        folder = os.open(directory, _FOLDER)
        try:
            for number, volume in enumerate(template.get("volumes") or ()):
                if volume["name"] in used:
                    made[volume["name"]] = self._make_one(volume, folder, directory, str(number))
        finally:
            os.close(folder)
        return made

    def _make_one(self, volume: dict[str, Any], folder: int, directory: str, number: str) -> Made:
        if _is_host_path(volume):
            return self._host_path(volume)
        if WORKFLOW_CLAIM in volume:
            return self._claim(str(volume[WORKFLOW_CLAIM]))
        texts: dict[str, str] | None = None
        if volume.get("configMap") is not None:
            source = volume["configMap"]
            texts = self._texts(volume, source, source.get("name"), self.config_maps, "configmap")
        elif volume.get("secret") is not None:
            source = volume["secret"]
            texts = self._texts(volume, source, source.get("secretName"), self.secrets, "secret")
        path = os.path.join(directory, number)
        # An emptyDir is open to every user of the pod.
        own = beneath.make_directories(folder, [number], _OPEN_TO_ALL if texts is None else 0o755)
        try:
            for name, text in (texts or {}).items():
                beneath.make_file(own, parts_of(name), text.encode(), 0o644)
        except FileExistsError as error:
            raise VolumeRefused(f'volume "{volume["name"]}": two of its items have the same path') from error
        except NotADirectoryError as error:
            raise VolumeRefused(f'volume "{volume["name"]}": the path of one item is a directory of another') from error
        finally:
            os.close(own)
        return Made(path, "", read_only=texts is not None, limit=_limit_of(volume) if texts is None else None)

    def _claim(self, number: str) -> Made:
        """Return the folder of a claim, made for the first pod that uses it."""
        os.makedirs(self.claims, exist_ok=True)
        folder = os.open(self.claims, _FOLDER)
        try:
            os.close(beneath.make_directories(folder, [number], _OPEN_TO_ALL))
        finally:
            os.close(folder)
        return Made(os.path.join(self.claims, number), "", read_only=False)

    def _texts(
        self, volume: dict[str, Any], source: dict[str, Any], name: str | None, known: Files, kind: str
    ) -> dict[str, str]:
        found = known.get(name or "")
        if found is None:
            if source.get("optional"):
                return {}
            raise VolumeNotReady(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind} "{name}" not found')
        if not source.get("items"):
            return dict(found)
        texts: dict[str, str] = {}
        for item in source["items"]:
            if item["key"] in found:
                texts[item["path"]] = found[item["key"]]
            elif not source.get("optional"):
                raise VolumeNotReady(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : '
                    f"references non-existent {kind} key: {item['key']}"
                )
        return texts

    def _host_path(self, volume: dict[str, Any]) -> Made:
        wanted, kind = volume["hostPath"]["path"], volume["hostPath"].get("type") or ""
        real = os.path.realpath(wanted)
        root = self._allowed_root(real, volume["name"], wanted)
        writable = any(_within(real, os.path.realpath(one)) for one in self.host.writable)
        below = os.path.relpath(real, root) if real != root else ""
        try:
            self._look_at(root, below, kind, create=writable)
        except OSError as error:
            what = {"Directory": "directory", "File": "file"}.get(kind.removesuffix("OrCreate"), "file or directory")
            hint = ""
            if kind.endswith("OrCreate") and not writable:
                hint = "; to make it the engine's option hostpath_writable would have to name a directory above it"
            raise VolumeNotReady(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : hostPath type check failed: '
                f"{wanted} is not a {what}{hint}"
            ) from error
        return Made(root, below, read_only=not writable)

    def _allowed_root(self, real: str, name: str, wanted: str) -> str:
        roots = [os.path.realpath(allowed) for allowed in self.host.allowed]
        root = next((root for root in roots if _within(real, root)), None)
        if root is None:
            raise VolumeRefused(
                f'volume "{name}": hostPath {wanted} is not below a directory that the engine\'s '
                "option hostpath_allow names"
            )
        for hidden in map(os.path.realpath, self.host.hidden):
            # A directory within a hidden one is allowed where the operator names it.
            if _within(hidden, real) or (_within(real, hidden) and not (_within(root, hidden) and root != hidden)):
                raise VolumeRefused(f'volume "{name}": hostPath {wanted} would show files that pods may not see')
        return root

    @staticmethod
    def _look_at(root: str, below: str, kind: str, *, create: bool) -> None:
        """Check that a hostPath exists, and make it where its type asks for that and it is allowed. Raises OSError."""
        folder = os.open(root, _FOLDER)
        try:
            try:
                found = beneath.open_beneath(folder, below)
            except FileNotFoundError:
                if not create or not kind.endswith("OrCreate"):
                    raise
                parts = parts_of(below)
                if kind == "DirectoryOrCreate":
                    os.close(beneath.make_directories(folder, parts, 0o755))
                else:
                    beneath.make_file(folder, parts, b"", 0o644)
                found = beneath.open_beneath(folder, below)
            mode = os.fstat(found).st_mode
            os.close(found)
        finally:
            os.close(folder)
        if kind.startswith("Directory") and not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not stat.S_ISREG(mode) and (kind.startswith("File") or not stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _is_host_path(volume: Mapping[str, Any]) -> bool:
    # A hostPath that is empty after rendering is an emptyDir.
    return volume.get("hostPath") is not None and bool(volume["hostPath"].get("path"))


def _limit_of(volume: Mapping[str, Any]) -> tuple[int, str] | None:
    limit = (volume.get("emptyDir") or {}).get("sizeLimit")
    return None if limit in (None, "") else (bytes_of(limit), str(limit))


def _within(path: str, directory: str) -> bool:
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def mounts_of(volume_mounts: Sequence[dict[str, Any]], made: Mapping[str, Made]) -> list[Mount]:
    """Return a container's mounts of volumes that are made; a subPath that is missing is made in a writable one.

    `below` is looked up again when it is mounted, since a pod may move entries in between.
    Raises `VolumeRefused` for a subPath that is missing in a read-only volume, or that has a link in it.
    """
    mounts = []
    for wanted in volume_mounts:
        volume = made[wanted["name"]]
        inner = parts_of(wanted.get("subPath") or "")
        below = "/".join([*parts_of(volume.below), *inner])
        if inner:
            _find_or_make(volume, below, wanted)
        read_only = volume.read_only or bool(wanted.get("readOnly"))
        mounts.append(Mount(Path(volume.source), wanted["mountPath"], read_only, below))
    return mounts


def _find_or_make(volume: Made, below: str, wanted: Mapping[str, Any]) -> None:
    place = f"volumeMount {wanted['mountPath']}: {wanted['subPath']}"
    folder = os.open(volume.source, _FOLDER)
    try:
        os.close(beneath.open_beneath(folder, below))
    except FileNotFoundError as error:
        if volume.read_only:
            raise VolumeRefused(f"{place} is not in the volume") from error
        try:
            os.close(beneath.make_directories(folder, parts_of(below), _OPEN_TO_ALL))
        except OSError as problem:
            raise VolumeRefused(f"{place} cannot be made in the volume: {problem.strerror}") from problem
    except OSError as error:
        raise VolumeRefused(f"{place} leads out of the volume, or through a link") from error
    finally:
        os.close(folder)
