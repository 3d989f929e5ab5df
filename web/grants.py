"""What a Workflow may do with its callback tokens: only what its owner needs, each role only its part."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from django.core import signing
from django.http import HttpRequest
from rest_framework.request import Request

from web.errors import InvalidToken

TOKEN_PREFIX = "wf."  # noqa: S105 - tells a Workflow's token from a person's
_SALT = "orchestrator.workflow-grant"
# Tokens are valid as long as their Workflows run, also those from before there were roles, or kinds of owners.
_LENGTH_WITHOUT_ROLE = 4
_LENGTH_WITHOUT_KIND = 6
_FIRST_KIND = "execution"


class Role(StrEnum):
    """The role of a container that holds a token. Views list the roles that may call them."""

    MAIN = "main"
    """The step runner of a Workflow: it prepares data, reports and stores what was produced."""
    SERVER = "server"
    """The server of a federated training, on the central node."""
    CLIENT = "client"
    """The client at one data partner in a federated training."""
    WORKFLOW = "workflow"
    """All roles: tokens of Workflows that were rendered before roles existed."""


ANY_ROLE = frozenset(Role)
CENTRAL_ROLES = ANY_ROLE - {Role.CLIENT}


@dataclass(frozen=True)
class WorkflowGrant:
    """The right of one attempt's Workflow to act for its owner, in one role; `name` is the Workflow's.

    `owner_kind` and `owner_id` are those of its run. `partner` is the data partner whose data it gives access to; empty
    for none.
    """

    owner_kind: str
    owner_id: int
    attempt: int
    name: str
    role: Role = Role.WORKFLOW
    partner: str = ""
    expires_at: datetime | None = field(default=None, compare=False)

    @property
    def owner(self) -> str:
        """The owner as one word, such as `execution:7`."""
        return f"{self.owner_kind}:{self.owner_id}"

    def is_for(self, owner_kind: str, owner_id: int) -> bool:
        """Return whether the grant is for an owner."""
        return (self.owner_kind, self.owner_id) == (owner_kind, owner_id)

    def may_read(self, partner: str) -> bool:
        """Return whether the grant allows reading what was posted for a data partner."""
        return self.role is Role.WORKFLOW or (self.partner == partner != "")


def issue_token(grant: WorkflowGrant, expires_at: datetime) -> str:
    """Return a signed token for a grant; it is not stored."""
    of_run = [grant.owner_kind, grant.owner_id, grant.attempt, grant.name]
    content = [*of_run, int(expires_at.timestamp()), grant.role, grant.partner]
    return TOKEN_PREFIX + signing.dumps(content, salt=_SALT)


def read_token(token: str) -> WorkflowGrant:
    """Return the grant of a token. Raises InvalidToken if it is not ours, was altered or has expired.

    The caller must check whether the Workflow still runs.
    """
    if not token.startswith(TOKEN_PREFIX):
        raise InvalidToken("The token is not a Workflow's token.")
    try:
        content = signing.loads(token.removeprefix(TOKEN_PREFIX), salt=_SALT)
        if len(content) == _LENGTH_WITHOUT_ROLE:
            content += [Role.WORKFLOW, ""]
        if len(content) == _LENGTH_WITHOUT_KIND:
            content = [_FIRST_KIND, *content]
        owner_kind, owner_id, attempt, name, expires, role, partner = content
        expires_at = datetime.fromtimestamp(expires, UTC)
        grant = WorkflowGrant(owner_kind, owner_id, attempt, name, Role(role), partner, expires_at)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise InvalidToken("The Workflow's token was not issued by this service, or was altered.") from error
    if datetime.now(UTC) >= expires_at:
        raise InvalidToken("The token has expired.")
    return grant


def grant_of(request: Request | HttpRequest) -> WorkflowGrant | None:
    """Return the grant that authenticated a request, or None when a person sent it."""
    auth = getattr(request, "auth", None)
    return auth if isinstance(auth, WorkflowGrant) else None
