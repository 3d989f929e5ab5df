"""A pod's volumes as files of this machine: https://kubernetes.io/docs/concepts/storage/volumes/."""

# ruff: noqa: PTH101, PTH103, PTH110, PTH112, PTH118, PTH120, PTH123

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.local.pods import Mount

KINDS = ("emptyDir", "configMap", "secret", "hostPath")
_DIRECTORY_KINDS = ("Directory", "DirectoryOrCreate")

Files = Mapping[str, Mapping[str, str]]


class VolumeNotReady(Exception):
    """A volume that may come later; the pod is pending until then, as on a cluster."""


class VolumeRefused(Exception):
    """A volume that this engine never gives."""


class Volumes:
    """Makes the volumes of one Workflow's pods. `allowed` are the directories of the host that may be mounted."""

    def __init__(self, config_maps: Files, secrets: Files, allowed: Sequence[str]) -> None:
        self.config_maps = config_maps
        self.secrets = secrets
        self.allowed = allowed

    def check(self, template: dict[str, Any], used: set[str]) -> None:
        """Raise `VolumeNotReady` or `VolumeRefused` where a volume that a pod uses cannot be made."""
        declared = {volume["name"]: volume for volume in template.get("volumes") or ()}
        for name in sorted(used):
            if name not in declared:
                raise VolumeRefused(f'volumeMount "{name}": no volume has that name')
            self._check_one(declared[name])

    def _check_one(self, volume: dict[str, Any]) -> None:
        if volume.get("hostPath") is not None and volume["hostPath"].get("path"):
            self._host_path(volume)
        elif volume.get("configMap") is not None:
            self._texts(volume, volume["configMap"], volume["configMap"].get("name"), self.config_maps, "configmap")
        elif volume.get("secret") is not None:
            self._texts(volume, volume["secret"], volume["secret"].get("secretName"), self.secrets, "secret")

    def make(self, template: dict[str, Any], used: set[str], directory: str) -> dict[str, tuple[str, bool]]:
        """Make the volumes that a pod uses; return their paths, and whether each is read-only, by name."""
        made: dict[str, tuple[str, bool]] = {}
        for volume in template.get("volumes") or ():
            if volume["name"] in used:
                made[volume["name"]] = self._make_one(volume, os.path.join(directory, volume["name"]))
        return made

    def _make_one(self, volume: dict[str, Any], path: str) -> tuple[str, bool]:
        if volume.get("hostPath") is not None and volume["hostPath"].get("path"):
            return self._host_path(volume), False
        os.makedirs(path, exist_ok=True)
        texts: dict[str, str] | None = None
        if volume.get("configMap") is not None:
            source = volume["configMap"]
            texts = self._texts(volume, source, source.get("name"), self.config_maps, "configmap")
        elif volume.get("secret") is not None:
            source = volume["secret"]
            texts = self._texts(volume, source, source.get("secretName"), self.secrets, "secret")
        if texts is None:
            os.chmod(path, 0o777)  # noqa: S103 - an emptyDir is open to every user of the pod
            return path, False
        for name, text in texts.items():
            target = os.path.join(path, name)
            if not _within(target, path):
                raise VolumeRefused(f'volume "{volume["name"]}": {name} lies outside of it')
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "w", encoding="utf-8") as file:
                file.write(text)
        return path, True

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

    def _host_path(self, volume: dict[str, Any]) -> str:
        wanted, kind = volume["hostPath"]["path"], volume["hostPath"].get("type") or ""
        path: str = os.path.realpath(wanted)
        if not any(_within(path, os.path.realpath(allowed)) for allowed in self.allowed):
            raise VolumeRefused(
                f'volume "{volume["name"]}": hostPath {wanted} is not below a directory that the engine\'s '
                "option hostpath_allow names"
            )
        if kind == "DirectoryOrCreate":
            os.makedirs(path, exist_ok=True)
        elif kind == "FileOrCreate" and not os.path.exists(path):
            open(path, "x", encoding="utf-8").close()
        if not os.path.exists(path) or (kind in _DIRECTORY_KINDS and not os.path.isdir(path)):
            raise VolumeNotReady(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : hostPath type check failed: '
                f"{wanted} is not a {'directory' if kind in _DIRECTORY_KINDS else 'file or directory'}"
            )
        return path


def _within(path: str, directory: str) -> bool:
    path, directory = os.path.normpath(path), os.path.normpath(directory)
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def mounts_of(volume_mounts: Sequence[dict[str, Any]], made: Mapping[str, tuple[str, bool]]) -> list[Mount]:
    """Return a container's mounts of volumes that are made. Raises `VolumeRefused` for a subPath that leads out."""
    mounts = []
    for wanted in volume_mounts:
        source, read_only = made[wanted["name"]]
        if wanted.get("subPath"):
            root, source = os.path.realpath(source), os.path.realpath(os.path.join(source, wanted["subPath"]))
            if not _within(source, root):
                raise VolumeRefused(f"volumeMount {wanted['mountPath']}: subPath leads out of the volume")
            if not os.path.exists(source):
                if read_only:
                    raise VolumeRefused(f"volumeMount {wanted['mountPath']}: {wanted['subPath']} is not in the volume")
                os.makedirs(source)
        mounts.append(Mount(Path(source), wanted["mountPath"], read_only or bool(wanted.get("readOnly"))))
    return mounts
