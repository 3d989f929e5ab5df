"""A callback token is valid for the present attempt of its execution, and only for what its role needs."""

from __future__ import annotations

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from executions.facts import OWNER_KIND
from executions.models import Execution
from executions.selectors import no_such_execution
from web.grants import Role, grant_of


def check_grant(request: Request, execution_id: int) -> int | None:
    """Let people pass, and a Workflow for its own execution only; return the attempt of the Workflow's token.

    Raises PermissionDenied, and NotFound for an execution that is gone.
    """
    grant = grant_of(request)
    if grant is None:
        return None
    if not grant.is_for(OWNER_KIND, execution_id):
        raise PermissionDenied("This token belongs to another execution.")
    attempt = Execution.objects.filter(pk=execution_id).values_list("attempt", flat=True).first()
    if attempt is None:
        raise no_such_execution()
    if grant.attempt != attempt:
        raise PermissionDenied("This token belongs to an earlier attempt.")
    return attempt


def check_partner(request: Request, partner: str) -> None:
    """Let people pass, and a Workflow for its own data partner only. Raises PermissionDenied."""
    grant = grant_of(request)
    if grant is not None and not grant.may_read(partner):
        raise PermissionDenied("This token does not give access to this data partner's data.")


def client_of(request: Request) -> str | None:
    """Return the data partner of a client's token, or None if the token is not a client's.

    Raises PermissionDenied for a client's token that belongs to no data partner.
    """
    grant = grant_of(request)
    if grant is None or grant.role is not Role.CLIENT:
        return None
    if not grant.partner:
        raise PermissionDenied("This token belongs to no data partner, so it cannot report for one.")
    return grant.partner
