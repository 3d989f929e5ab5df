"""What the roles of a federated training report while it runs: their progress and their failures.

    progress_reported(execution_id=7, document=body.data, attempt=1)
    role_to_failed(execution_id=7, partner="data-partner-1", document=body.data, attempt=1)

The documents come from other programs: they are checked against a shape and cut to the fields that are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions import shapes
from executions.facts import OWNER_KIND
from executions.models import Execution, ExecutionDataPartner, FailureReason, FederatedProgress
from executions.outcomes import execution_of_attempt, failure_explained, failure_written
from executions.selectors import execution_bare, schema_facts, schema_of
from executions.transitions import ENDED
from runs.selectors import run_latest_locked
from runs.services import run_stop
from schemas.federated import CONTINUE, FederatedOptions
from web.errors import Fault, InvalidInput
from web.leniency import typed
from web.shape import check

SERVER = ""
FAILED, EVALUATED = "failed", "evaluated"
MAX_METRICS = 50
MAX_MESSAGE = 4000
_NUMBER = {"type": "number"}


def progress_reported(*, execution_id: int, document: Mapping[str, Any], attempt: int | None = None) -> None:
    """Store a federated manager's progress document (docs/reference/federated-manager.md).

    Raises InvalidInput, NotFound, and NotAllowedInState for an earlier attempt.
    """
    _refuse(check(document, shapes.PROGRESS))
    with transaction.atomic():
        execution = execution_of_attempt(execution_id, attempt)
        names = partner_names(execution)
        _refuse(_faults(document, execution, names))
        partner = document["client"] if document["role"] == "client" else SERVER
        row = _row(execution, partner, document["round"])
        row.step, row.at = document["step"], timezone.now()
        row.message = document.get("message", "")[:MAX_MESSAGE] if row.step == FAILED else ""
        row.bytes_sent, row.bytes_received = document.get("bytes_sent", 0), document.get("bytes_received", 0)
        metrics = _metrics(document.get("metrics"))
        if partner == SERVER:
            row.clients = _clients(document, names) or row.clients
            if document.get("of") in names and metrics:
                _keep_metrics(execution, document["of"], row.round, metrics)
        elif metrics:
            row.metrics = metrics
        row.save()


def role_to_failed(
    *, execution_id: int, partner: str | None, document: Mapping[str, Any], attempt: int | None = None
) -> Execution:
    """Record that a role failed; without `partner` the role is the server.

    The execution fails, and its Workflow is stopped, unless its options allow missing clients and enough clients are
    left. Raises InvalidInput, NotFound and NotAllowedInState.
    """
    _refuse(check(document, shapes.FAILED))
    refuse_unless_federated(execution_bare(execution_id))
    message = failure_explained(execution_id, attempt, document["message"])
    with transaction.atomic():
        # The run first: phase_changed locks in this order too.
        run = run_latest_locked(OWNER_KIND, execution_id)
        execution = execution_of_attempt(execution_id, attempt)
        goes_on = partner is not None and _goes_on_without(execution, partner)
        row = _row(execution, partner or SERVER, None)
        row.step, row.message, row.at = FAILED, message[:MAX_MESSAGE], timezone.now()
        row.save()
        if not goes_on and execution.state not in ENDED:
            text = f"{partner}: {message}" if partner else message
            failure_written(execution, reason=FailureReason.CALLBACK, message=text)
            if run is not None:
                run_stop(run_id=run.pk, message=f"The federated training failed: {text}"[:MAX_MESSAGE])
    return execution


def partner_names(execution: Execution) -> list[str]:
    """Return the names of an execution's data partners, in their order."""
    partners = ExecutionDataPartner.objects.filter(execution=execution).order_by("position")
    return list(partners.values_list("name", flat=True))


def refuse_unless_federated(execution: Execution) -> None:
    """Raise InvalidInput for an execution without federated training."""
    if execution.number_iterations is None:
        raise InvalidInput("The Schema of this execution does not train in a federated manner.")


def _faults(document: Mapping[str, Any], execution: Execution, names: list[str]) -> list[Fault]:
    if execution.number_iterations is None:
        return [
            Fault("/data", "is a report of a federated training; this execution does not train in a federated manner")
        ]
    faults = []
    if document["role"] == "client" and document["client"] not in names:
        faults.append(Fault("/data/client", "is not a data partner of this execution"))
    if document["round"] is not None and document["round"] > execution.number_iterations:
        faults.append(Fault("/data/round", f"must be at most {execution.number_iterations}"))
    return faults


def _row(execution: Execution, partner: str, number: int | None) -> FederatedProgress:
    """Return a role's row for a round, a new one if there is none; without a number, the row of its newest round."""
    told = FederatedProgress.objects.filter(execution=execution, attempt=execution.attempt, partner=partner)
    row = told.order_by("round").last() if number is None else told.filter(round=number).first()
    if row is not None:
        return row
    return FederatedProgress(execution=execution, attempt=execution.attempt, partner=partner, round=number or 0)


def _keep_metrics(execution: Execution, partner: str, number: int, metrics: dict[str, float]) -> None:
    """Keep a client's metrics that the server reports: clients of other implementations report nothing to us."""
    row = _row(execution, partner, number)
    row.metrics = metrics
    row.step = row.step or EVALUATED
    row.save()


def _clients(document: Mapping[str, Any], names: list[str]) -> dict[str, Any] | None:
    told = document.get("clients")
    if told is None:
        return None
    failed = {name: reason[:MAX_MESSAGE] for name, reason in told.get("failed", {}).items() if name in names}
    heard = {kind: [name for name in names if name in told.get(kind, ())] for kind in ("ready", "answered")}
    return {"expected": told.get("expected"), **heard, "failed": failed}


def _metrics(document: Any) -> dict[str, float]:
    """Return the numbers of an evaluation metrics document (contracts/step-actions.md) by name, {} if it is not one."""
    listed = document.get("evaluation_metrics") if isinstance(document, dict) else None
    found: dict[str, float] = {}
    for metric in listed if isinstance(listed, list) else []:
        name, value = (metric.get("name"), metric.get("value")) if isinstance(metric, dict) else (None, None)
        value = typed(value, _NUMBER)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(name, str) and 0 < len(name) <= shapes.MAX_NAME and name.isprintable() and is_number:
            number = _float(value)
            if number is not None:
                found[name] = number
        if len(found) == MAX_METRICS:
            break
    return found


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _goes_on_without(execution: Execution, partner: str) -> bool:
    """Return whether a training goes on without a data partner that failed."""
    names = partner_names(execution)
    if partner not in names:
        raise InvalidInput(
            faults=[
                Fault(
                    "/query/data_partner",
                    "is not a data partner of this execution; must be one of: " + ", ".join(names),
                )
            ]
        )
    defaults = schema_facts(schema_of(execution)).elements.input.federated_learning_defaults
    options = FederatedOptions.of(execution.federated_options).over(defaults)
    if options.on_missing_clients != CONTINUE:
        return False
    told = FederatedProgress.objects.filter(execution=execution, attempt=execution.attempt).exclude(partner=SERVER)
    newest = dict(told.order_by("round").values_list("partner", "step"))
    gone = {partner, *(name for name, step in newest.items() if step == FAILED)}
    return len(names) - len(gone) >= (options.minimum_clients or len(names))


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise InvalidInput(faults=faults)
