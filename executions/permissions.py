"""A Workflow's callback token is good for its own execution's present attempt, and for nothing else."""

from __future__ import annotations

from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from executions.models import Execution
from executions.selectors import no_such_execution
from web.grants import grant_of


def check_grant(request: Request, execution_id: int) -> int | None:
    """Let people through, and a Workflow to its own execution only; return the attempt that a Workflow speaks for.

    Raises PermissionDenied, and NotFound for an execution that is gone.
    """
    grant = grant_of(request)
    if grant is None:
        return None
    if grant.execution_id != execution_id:
        raise PermissionDenied("This token speaks for another execution.")
    attempt = Execution.objects.filter(pk=execution_id).values_list("attempt", flat=True).first()
    if attempt is None:
        raise no_such_execution()
    if grant.attempt != attempt:
        raise PermissionDenied("This token speaks for an earlier attempt.")
    return attempt
