"""Kubernetes quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_TOO_MANY = 2.0**63
_UNITS = {
    "": 1.0,
    "k": 1e3,
    "K": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "E": 1e18,
    "Ei": 2.0**60,
    "m": 1e-3,
}


def bytes_of(quantity: Any) -> int:
    """Return a quantity of memory or disk in bytes. Raises `ValueError`."""
    text = str(quantity).strip()
    number = text.rstrip("kKMGTPEim")
    unit = text[len(number) :]
    if unit not in _UNITS or not _NUMBER.fullmatch(number):
        raise ValueError(f"'{text}' is not a quantity of bytes")
    count = float(number) * _UNITS[unit]
    if not count < _TOO_MANY:
        raise ValueError(f"'{text}' is too large")
    return int(count)


def memory_limit(container: dict[str, Any]) -> int | None:
    """Return a container's memory limit in bytes, None without one. Raises `ValueError`."""
    return _limit(container, "memory")


def storage_limit(container: dict[str, Any]) -> int | None:
    """Return a container's limit of ephemeral storage in bytes, None without one. Raises `ValueError`."""
    return _limit(container, "ephemeral-storage")


def _limit(container: dict[str, Any], resource: str) -> int | None:
    limit = ((container.get("resources") or {}).get("limits") or {}).get(resource)
    return None if limit is None or limit == "" else bytes_of(limit)
