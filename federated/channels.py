"""The names of channels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime


def channel_id(owner_id: int, created_at: datetime) -> str:
    """Name the channel of an owner of runs; the creation time keeps it unique over re-created databases.

    The form is the one that federated managers in the field are given as their EXECUTION_ID.
    """
    stamp = created_at.isoformat(sep="_", timespec="microseconds")
    return f"{owner_id}_-SEP-_{stamp.replace(':', '-').replace('+', '_')}_-SEP-_"


TO_CLIENTS = "models_to_clients"
# Of the message that tells of a failure in the server's place: told twice it is there once.
FAILURE_ID = "failure-of-the-server"
_LONGEST_REASON = 1000


def failure_headers(reason: str) -> dict[str, str]:
    """Return the headers of a message without a value by which a server says that the training has failed.

    contracts/federated-protocol.md; the reason is for managers of ours.
    """
    told = " ".join(reason.encode(errors="replace").decode().split())[:_LONGEST_REASON]
    return {"message_name": "start_iteration", "iteration_index": "0", "failure_reason": told}


_FORM = re.compile(
    r"(?P<owner>\d+)_-SEP-_(?P<day>\d{4}-\d\d-\d\d)_(?P<time>\d\d-\d\d-\d\d\.\d{6})(?:[_-]\d\d-\d\d)?_-SEP-_"
)


@dataclass(frozen=True)
class ChannelName:
    """What the id of a channel says."""

    owner_id: int
    created_at: datetime


def read_channel_id(text: str) -> ChannelName | None:
    """Return what a channel id says, None for a text that is none of ours."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    try:
        created_at = datetime.strptime(f"{found['day']} {found['time']}", "%Y-%m-%d %H-%M-%S.%f")
    except ValueError:
        return None
    return ChannelName(int(found["owner"]), created_at.replace(tzinfo=UTC))
