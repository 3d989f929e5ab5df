"""A Workflow's callback token is good for its own execution's present attempt, and there for what its role needs."""

from __future__ import annotations

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from executions.facts import OWNER_KIND
from executions.models import Execution
from executions.selectors import no_such_execution
from web.grants import Role, grant_of


def check_grant(request: Request, execution_id: int) -> int | None:
    """Let people through, and a Workflow to its own execution only; return the attempt that a Workflow speaks for.

    Raises PermissionDenied, and NotFound for an execution that is gone.
    """
    grant = grant_of(request)
    if grant is None:
        return None
    if not grant.is_for(OWNER_KIND, execution_id):
        raise PermissionDenied("This token speaks for another execution.")
    attempt = Execution.objects.filter(pk=execution_id).values_list("attempt", flat=True).first()
    if attempt is None:
        raise no_such_execution()
    if grant.attempt != attempt:
        raise PermissionDenied("This token speaks for an earlier attempt.")
    return attempt


def check_partner(request: Request, partner: str) -> None:
    """Let people through, and a Workflow to its own data partner's part only. Raises PermissionDenied."""
    grant = grant_of(request)
    if grant is not None and not grant.may_read(partner):
        raise PermissionDenied("This token is not for this data partner's data.")


def client_of(request: Request) -> str | None:
    """Return the data partner for whose client a token speaks, or None where it is no client's.

    Raises PermissionDenied for a client of which nobody could tell whose it is: it reports nothing.
    """
    grant = grant_of(request)
    if grant is None or grant.role is not Role.CLIENT:
        return None
    if not grant.partner:
        raise PermissionDenied("This token names no data partner, so it reports for none.")
    return grant.partner
