"""The names of channels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime


def channel_id(owner_id: int, created_at: datetime) -> str:
    """Name the channel of an owner of runs; the creation time keeps it unique when a database is created anew.

    The form is that of the EXECUTION_ID of existing federated managers.
    """
    stamp = created_at.isoformat(sep="_", timespec="microseconds")
    return f"{owner_id}_-SEP-_{stamp.replace(':', '-').replace('+', '_')}_-SEP-_"


TO_CLIENTS = "models_to_clients"
# The fixed id of the message that reports a failure in place of the server: sent twice, it is stored once.
FAILURE_ID = "failure-of-the-server"
_LONGEST_REASON = 1000


def failure_headers(reason: str) -> dict[str, str]:
    """Return the headers of a server's message that the training has failed; the message has the null value.

    See contracts/federated-protocol.md; only our own managers read the reason.
    """
    told = " ".join(reason.encode(errors="replace").decode().split())[:_LONGEST_REASON]
    return {"message_name": "start_iteration", "iteration_index": "0", "failure_reason": told}


_FORM = re.compile(
    r"(?P<owner>\d+)_-SEP-_(?P<day>\d{4}-\d\d-\d\d)_(?P<time>\d\d-\d\d-\d\d\.\d{6})(?:[_-]\d\d-\d\d)?_-SEP-_"
)


@dataclass(frozen=True)
class ChannelName:
    """The parts of a channel's id."""

    owner_id: int
    created_at: datetime


def read_channel_id(text: str) -> ChannelName | None:
    """Return the parts of a channel id, None for a text that is not a channel id of this service."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    try:
        created_at = datetime.strptime(f"{found['day']} {found['time']}", "%Y-%m-%d %H-%M-%S.%f")
    except ValueError:
        return None
    return ChannelName(int(found["owner"]), created_at.replace(tzinfo=UTC))
