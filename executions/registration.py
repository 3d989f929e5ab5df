"""Where executions make themselves known to the rooms below that must not know them."""

from __future__ import annotations

from executions.owner import OWNER_KIND, ExecutionOwner
from executions.services import schema_executions_released
from runs import owners
from schemas import deletion


def register_all() -> None:
    """Own the runs of executions, and go along when a Schema is deleted; doing it twice changes nothing."""
    owners.register(OWNER_KIND, ExecutionOwner())
    deletion.register(schema_executions_released)
