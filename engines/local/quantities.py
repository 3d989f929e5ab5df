"""Kubernetes quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/."""

from __future__ import annotations

from typing import Any

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
    "m": 1e-3,
}


def bytes_of(quantity: Any) -> int:
    """Return a quantity of memory in bytes. Raises `ValueError`."""
    text = str(quantity).strip()
    number = text.rstrip("kKMGTPim")
    unit = text[len(number) :]
    if unit not in _UNITS:
        raise ValueError(f"'{text}' is not a quantity")
    return int(float(number) * _UNITS[unit])


def memory_limit(container: dict[str, Any]) -> int | None:
    """Return a container's memory limit in bytes, None without one. Raises `ValueError`."""
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return None if limit is None or limit == "" else bytes_of(limit)
