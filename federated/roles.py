"""What each role of a federated training may read and write in its channel: tables by topic, and the role's keys.

A client reads messages of the server and its own, never those of another data partner's client, and writes under its
own key only. The keys are those of contracts/federated-protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from federated.models import TOPICS
from web.grants import Role, WorkflowGrant

_SEPARATOR = "///MESSAGE_SEP///"

MAY_READ: Mapping[Role, frozenset[str]] = {
    Role.SERVER: frozenset(TOPICS),
    Role.CLIENT: frozenset({"status", "models_to_clients"}),
    Role.WORKFLOW: frozenset(TOPICS),
}
MAY_WRITE: Mapping[Role, frozenset[str]] = {
    Role.SERVER: frozenset({"status", "models_to_clients"}),
    Role.CLIENT: frozenset({"status", "models_to_manager"}),
    Role.WORKFLOW: frozenset(TOPICS),
}
ROLES_IN_CHANNELS = frozenset(MAY_READ)


def client_key(channel_id: str, partner: str) -> str:
    """Return the key of the messages of a data partner's client."""
    return f"{channel_id}{_SEPARATOR}{partner}"


def readable_keys(grant: WorkflowGrant | None, channel_id: str) -> frozenset[str] | None:
    """Return the keys of the messages that a role may read, or None for all keys."""
    if grant is None or grant.role is not Role.CLIENT:
        return None
    return frozenset({channel_id, client_key(channel_id, grant.partner)} if grant.partner else {channel_id})


def may_write(grant: WorkflowGrant, channel_id: str, topic: str, key: str) -> bool:
    """Return whether a role may publish a message of this key in a topic."""
    if topic not in MAY_WRITE.get(grant.role, ()):
        return False
    if grant.role is Role.CLIENT:
        return bool(grant.partner) and key == client_key(channel_id, grant.partner)
    return grant.role is Role.WORKFLOW or key == channel_id


def may_store(grant: WorkflowGrant) -> bool:
    """Return whether a role may store models here; a client without a data partner may not."""
    return grant.role is not Role.CLIENT or bool(grant.partner)


def storer_of(grant: WorkflowGrant | None) -> str:
    """Return the owner of a stored model: the data partner of a client, '' for the server, whose models are for all."""
    return grant.partner if grant is not None and grant.role is Role.CLIENT else ""


def readable_storers(grant: WorkflowGrant | None) -> frozenset[str] | None:
    """Return the owners whose stored models a role may read, or None for all."""
    return frozenset({"", grant.partner}) if grant is not None and grant.role is Role.CLIENT else None
