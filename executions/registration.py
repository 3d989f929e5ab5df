"""Registers executions with the packages below, which must not import this one."""

from __future__ import annotations

from executions.owner import OWNER_KIND, ExecutionOwner
from executions.services import schema_executions_released
from runs import owners
from schemas import deletion


def register_all() -> None:
    """Register as owner of runs and for the deletion of Schemas; calling it twice changes nothing."""
    owners.register(OWNER_KIND, ExecutionOwner())
    deletion.register(schema_executions_released)
