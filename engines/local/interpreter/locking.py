"""The locks of a Workflow or a pod: mutexes, and semaphores whose size is in a ConfigMap.

Source: https://argo-workflows.readthedocs.io/en/latest/synchronization/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engines.local.interpreter.calls import CallError, ConfigMaps


class Lock(NamedTuple):
    """A lock that `limit` holders may have at a time; `kind` and `name` are as Argo names it."""

    kind: str
    name: str
    limit: int = 1


def locks_of(synchronization: Mapping[str, Any] | None, config_maps: ConfigMaps) -> list[Lock]:
    """Return the requested locks, in the order in which all Workflows take them. Raises `CallError`."""
    wanted = synchronization or {}
    mutexes = [*(wanted.get("mutexes") or ()), *([wanted["mutex"]] if wanted.get("mutex") else ())]
    semaphores = [*(wanted.get("semaphores") or ()), *([wanted["semaphore"]] if wanted.get("semaphore") else ())]
    return sorted(
        {Lock("Mutex", one["name"]) for one in mutexes} | {_semaphore(one, config_maps) for one in semaphores}
    )


def _semaphore(wanted: Mapping[str, Any], config_maps: ConfigMaps) -> Lock:
    name, key = wanted["configMapKeyRef"]["name"], wanted["configMapKeyRef"]["key"]
    text = config_maps.get(name, {}).get(key)
    if text is None:
        raise CallError(f"semaphore {name}/{key}: no ConfigMap of this Workflow has this key")
    if not text.strip().isdecimal() or not int(text):
        raise CallError(f"semaphore {name}/{key}: '{text}' is not a number of holders")
    return Lock("ConfigMap", f"{name}/{key}", int(text))
