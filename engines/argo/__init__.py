"""The Argo engine: Workflows on Kubernetes, through the Workflow custom resource.

`ArgoEngine` is imported only where it is used: it imports the whole Kubernetes client.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["ArgoEngine"]


def __getattr__(name: str) -> Any:
    if name == "ArgoEngine":
        return importlib.import_module("engines.argo.engine").ArgoEngine
    raise AttributeError(name)
