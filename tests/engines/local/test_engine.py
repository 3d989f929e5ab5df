"""The local engine keeps the contract."""

from __future__ import annotations

from typing import Any

from engines.base import Engine
from engines.local import LocalEngine
from tests.engines.contract import EngineContract


class TestLocalEngine(EngineContract):
    def make_engine(self, place: Any) -> Engine:
        return LocalEngine("local", {"root": str(place / "engine"), "grace_seconds": 2})
