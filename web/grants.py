"""What a Workflow may do with its callback token: only what its own execution needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.core import signing
from django.http import HttpRequest
from rest_framework.request import Request

from web.errors import InvalidToken

TOKEN_PREFIX = "wf."  # noqa: S105 - tells a Workflow's token from a person's
_SALT = "orchestrator.workflow-grant"


@dataclass(frozen=True)
class WorkflowGrant:
    """The right of one attempt's Workflow to speak for its execution; `name` is the Workflow's."""

    execution_id: int
    attempt: int
    name: str


def issue_token(grant: WorkflowGrant, expires_at: datetime) -> str:
    """Return a signed token for a grant; nothing of it needs to be stored."""
    content = [grant.execution_id, grant.attempt, grant.name, int(expires_at.timestamp())]
    return TOKEN_PREFIX + signing.dumps(content, salt=_SALT)


def read_token(token: str) -> WorkflowGrant:
    """Return the grant of a token. Raises InvalidToken when it is not ours, was altered or has expired.

    Whether the Workflow still runs is for the caller to ask.
    """
    if not token.startswith(TOKEN_PREFIX):
        raise InvalidToken
    try:
        execution_id, attempt, name, expires = signing.loads(token.removeprefix(TOKEN_PREFIX), salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise InvalidToken from error
    if datetime.now(UTC).timestamp() >= expires:
        raise InvalidToken("The token has expired.")
    return WorkflowGrant(execution_id=execution_id, attempt=attempt, name=name)


def grant_of(request: Request | HttpRequest) -> WorkflowGrant | None:
    """Return the grant that authenticated a request, or None when a person sent it."""
    auth = getattr(request, "auth", None)
    return auth if isinstance(auth, WorkflowGrant) else None
