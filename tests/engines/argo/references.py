"""Which Secrets and ConfigMaps a Workflow's pods need before they start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_PARAMETER = re.compile(r"\{\{\s*workflow\.parameters\.([^}\s]+)\s*\}\}")
# Field of a pod's specification → kind of object, and the field in it that names one.
_FIELDS = {
    "secretKeyRef": ("secrets", "name"),
    "secretRef": ("secrets", "name"),
    "secret": ("secrets", "secretName"),
    "configMapKeyRef": ("configmaps", "name"),
    "configMapRef": ("configmaps", "name"),
    "configMap": ("configmaps", "name"),
}

Reference = tuple[str, str]


def references(spec: dict[str, Any]) -> set[Reference]:
    """Return what a Workflow's specification refers to as pairs of a collection and a name."""
    given = spec.get("arguments", {}).get("parameters", [])
    values = {parameter["name"]: str(parameter.get("value", "")) for parameter in given}
    return {(kind, _PARAMETER.sub(lambda found: values[found[1]], name)) for kind, name in _walk(spec)}


def _walk(value: Any) -> Iterator[Reference]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)
    if isinstance(value, dict):
        for key, item in value.items():
            if key in _FIELDS and isinstance(item, dict) and not item.get("optional"):
                kind, name = _FIELDS[key]
                if name in item:
                    yield kind, item[name]
            # Argo makes the ConfigMap of a cache itself.
            if key != "memoize":
                yield from _walk(item)
