"""The names of channels."""

from __future__ import annotations

from datetime import datetime


def channel_id(execution_id: int, created_at: datetime) -> str:
    """Name the channel of an execution; the creation time keeps it unique over re-created databases.

    The form is the one that federated managers in the field are given as their EXECUTION_ID.
    """
    stamp = created_at.isoformat(sep="_", timespec="microseconds")
    return f"{execution_id}_-SEP-_{stamp.replace(':', '-').replace('+', '_')}_-SEP-_"
