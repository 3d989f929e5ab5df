"""Two mounts at one path of a container: a cluster refuses such a pod, so the manifest is refused before."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from policy.forms import Check, shown
from policy.outline import as_list, as_mapping

RULE = "paths"
_SEPARATOR = "\x1f"
_Places = list[tuple[str, str]]


def check_mounts(template: Mapping[str, Any], at: str, check: Check) -> None:
    """Report a container of a template that gets two volumes, or two input artifacts, at the same path."""
    for places in (*_volume_mounts(template, at), _artifacts(template, at)):
        if len(places) > 1:
            _check_places(places, check)


def _check_places(places: _Places, check: Check) -> None:
    found: dict[int, str] = {}
    # All paths as one text, so that the values of one call are looked at together.
    for text in check.becomes(_SEPARATOR.join(path for _, path in places)):
        seen: set[str] = set()
        for index, path in enumerate(text.split(_SEPARATOR)):
            normal = posixpath.normpath(path)
            if normal in seen:
                found.setdefault(index, path)
            seen.add(normal)
    for index, path in sorted(found.items()):
        check.refuse(
            places[index][0], RULE, f"another volume or artifact is already at {shown(path)} of this container"
        )


def _volume_mounts(template: Mapping[str, Any], at: str) -> Iterator[_Places]:
    shared = _mounts(as_mapping(template.get("containerSet")), f"{at}/containerSet")
    for index, container in enumerate(as_list(as_mapping(template.get("containerSet")).get("containers"))):
        yield [*shared, *_mounts(as_mapping(container), f"{at}/containerSet/containers/{index}")]
    for kind in ("container", "script"):
        yield _mounts(as_mapping(template.get(kind)), f"{at}/{kind}")
    for kind in ("initContainers", "sidecars"):
        for index, container in enumerate(as_list(template.get(kind))):
            yield _mounts(as_mapping(container), f"{at}/{kind}/{index}")


def _mounts(holder: Mapping[str, Any], at: str) -> _Places:
    mounts = enumerate(as_list(holder.get("volumeMounts")))
    return [
        (f"{at}/volumeMounts/{index}/mountPath", str(as_mapping(mount).get("mountPath"))) for index, mount in mounts
    ]


def _artifacts(template: Mapping[str, Any], at: str) -> _Places:
    artifacts = enumerate(as_list(as_mapping(template.get("inputs")).get("artifacts")))
    return [
        (f"{at}/inputs/artifacts/{index}/path", str(artifact["path"]))
        for index, artifact in artifacts
        if as_mapping(artifact).get("path")
    ]
