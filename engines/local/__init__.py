"""The local engine: Workflows as processes of this machine.

`LocalEngine` is imported only where it is used: the supervisor imports this package too, and must not load Django.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["LocalEngine"]


def __getattr__(name: str) -> Any:
    if name == "LocalEngine":
        return importlib.import_module("engines.local.engine").LocalEngine
    raise AttributeError(name)
