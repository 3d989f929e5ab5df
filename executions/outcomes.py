"""State changes of an execution by its Workflow's callbacks and its engine: one table, under a row lock."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from executions import conf, shapes
from executions.facts import OWNER_KIND, SchemaFacts
from executions.models import Execution, ExecutionAIEngine, ExecutionState, FailureReason
from executions.registry import get_registry, outcome_faults
from executions.selectors import execution_bare, execution_locked, schema_facts, schema_of
from executions.transitions import ENDED, TRANSITIONS, Move, State
from policy.parts import templates_of
from runs.last_words import run_engine_words, run_last_words, with_last_words
from runs.models import RunPhase, RunReason, WorkflowRun
from runs.selectors import run_latest, run_latest_locked
from runs.services import run_wind_up
from web.errors import InvalidInput, NotAllowedInState
from web.shape import check

logger = logging.getLogger(__name__)

MAX_MESSAGE = 20_000
# An exit handler sends this if no container wrote an error message: Argo leaves the tag as it is.
_UNRESOLVED = re.compile(r"\s*\{\{[^{}]*\}\}\s*")
UNTOLD = "The Workflow failed without giving a reason."
# Exit handlers of existing manifests send this if no container wrote a message.
_SAYS_NOTHING = "Unexpected error"

_REASONS = {
    RunReason.NONE: FailureReason.ENGINE,
    RunReason.ENGINE: FailureReason.ENGINE,
    RunReason.DEADLINE: FailureReason.DEADLINE,
    RunReason.STOPPED: FailureReason.STOPPED,
    RunReason.LOST: FailureReason.LOST,
}


@dataclass(frozen=True)
class Outcome:
    """A Workflow's products, as ids of the model registry; None for what its Schema does not produce."""

    ai_model: int | None
    evaluation_metrics: tuple[int, ...] | None
    generic_file: int | None


def execution_to_running(*, execution_id: int, document: Mapping[str, Any], attempt: int | None = None) -> Execution:
    """Record that the Workflow of an attempt has begun; without `attempt`, of the present one.

    Raises InvalidInput, NotFound and NotAllowedInState.
    """
    _refuse(check(document, shapes.RUNNING))
    with transaction.atomic():
        execution = execution_of_attempt(execution_id, attempt)
        if _may_become(execution, State.RUNNING):
            execution.state = ExecutionState.RUNNING
            execution.save(update_fields=["state", "updated_at"])
            _log(execution)
    return execution


def execution_to_failed(*, execution_id: int, document: Mapping[str, Any], attempt: int | None = None) -> Execution:
    """Record that the Workflow failed, with its message and the failed container's last line of log.

    Asks the engine for that line. Raises InvalidInput, NotFound and NotAllowedInState.
    """
    _refuse(check(document, shapes.FAILED))
    told = failure_explained(execution_id, attempt, document["message"])
    with transaction.atomic():
        run, execution = locked(execution_id, attempt)
        failure_written(execution, reason=FailureReason.CALLBACK, message=told)
        wound_up(execution, run)
    return execution


def execution_to_succeeded(*, execution_id: int, document: Mapping[str, Any], attempt: int | None = None) -> Execution:
    """Record what the Workflow produced; asks the model registry whether it holds each product.

    Raises InvalidInput for anything but what the Schema produces, NotFound, NotAllowedInState, ServiceUnavailable.
    """
    execution = execution_bare(execution_id)
    facts = schema_facts(schema_of(execution))
    _refuse(check(document, _succeeded_shape(facts)))
    outcome = _outcome(document)
    if _may_become(execution, State.SUCCEEDED):
        missing = outcome_faults(outcome.ai_model, outcome.evaluation_metrics, outcome.generic_file, get_registry())
        _refuse(missing)
    with transaction.atomic():
        run, execution = locked(execution_id, attempt)
        if _may_become(execution, State.SUCCEEDED):
            execution.state = ExecutionState.SUCCEEDED
            execution.ai_model = outcome.ai_model
            execution.generic_file = outcome.generic_file
            metrics = outcome.evaluation_metrics
            execution.evaluation_metrics = None if metrics is None else list(metrics)
            execution.message = ""
            execution.save()
            _log(execution)
            wound_up(execution, run)
    return execution


def locked(execution_id: int, attempt: int | None) -> tuple[WorkflowRun | None, Execution]:
    """Return the last run of an execution and the execution, locked. Raises NotFound and NotAllowedInState."""
    # The run first: phase_changed locks in this order too.
    run = run_latest_locked(OWNER_KIND, execution_id)
    return run, execution_of_attempt(execution_id, attempt)


def wound_up(execution: Execution, run: WorkflowRun | None) -> None:
    """Have the Workflow of an ended execution stopped after a grace period, in the caller's transaction."""
    if run is not None and run.attempt == execution.attempt:
        run_wind_up(run_id=run.pk, grace=conf.end_grace())


def failure_explained(execution_id: int, attempt: int | None, message: str) -> str:
    """Return a Workflow's failure message with the failed container's last line of log.

    A message that says nothing is replaced by what the engine knows, or by `UNTOLD`. Asks the engine: no transaction
    may be open. What the engine does not know is left out.
    """
    execution = Execution.objects.filter(pk=execution_id).first()
    run = run_latest(OWNER_KIND, execution_id)
    says_nothing = _says_nothing(message, run)
    is_over = execution is None or execution.state in ENDED
    if is_over or run is None or run.submitted_at is None or attempt not in (None, run.attempt):
        return UNTOLD if says_nothing else message
    if says_nothing:
        return run_engine_words(run) or UNTOLD
    return with_last_words(message[:MAX_MESSAGE], run_last_words(run, message))


def _says_nothing(message: str, run: WorkflowRun | None) -> bool:
    """Return whether a message only replaces one that no container wrote.

    Such a message is a tag that Argo did not fill in, or the default of an output parameter in the manifest.
    """
    said = message.strip()
    if not said or said in (UNTOLD, _SAYS_NOTHING) or _UNRESOLVED.fullmatch(said):
        return True
    templates = templates_of(run.manifest.get("spec") or {}) if run is not None else ()
    outputs = (parameter for each in templates for parameter in (each.get("outputs") or {}).get("parameters") or ())
    return any(str((each.get("valueFrom") or {}).get("default", "")).strip() == said for each in outputs)


def failure_written(execution: Execution, *, reason: FailureReason, message: str) -> None:
    """Fail a locked execution; if it has failed already, it keeps its first reason. Raises NotAllowedInState."""
    if not _may_become(execution, State.FAILED):
        return
    _rewrite_failure(execution, reason=reason, message=message)


def _rewrite_failure(execution: Execution, *, reason: FailureReason, message: str) -> None:
    execution.state = ExecutionState.FAILED
    execution.reason = reason
    execution.message = _clipped(message)
    execution.save(update_fields=["state", "reason", "message", "updated_at"])
    _log(execution)


def run_began(run: WorkflowRun) -> None:
    """Record that an execution has begun whose Workflow drives no AI engine: such a Workflow does not call back."""
    driven = ExecutionAIEngine.objects.filter(execution=OuterRef("pk"))
    pending = Execution.objects.filter(~Exists(driven), pk=run.owner_id, attempt=run.attempt, state=State.PENDING)
    execution = pending.select_for_update().first()
    if execution is not None:
        execution.state = ExecutionState.RUNNING
        execution.save(update_fields=["state", "updated_at"])
        _log(execution)


def run_ended(run: WorkflowRun) -> None:
    """End the execution of a run that ended without a callback; inside the run's own transaction.

    The execution fails, unless its Workflow succeeded and had nothing to report. If the Workflow called back without a
    reason for its failure, the engine's reason is used.
    """
    execution = Execution.objects.select_for_update().filter(pk=run.owner_id, attempt=run.attempt).first()
    if execution is None:
        return
    if run.phase == RunPhase.SUCCEEDED and execution.state not in ENDED and _has_nothing_to_report(execution):
        execution.state, execution.message = ExecutionState.SUCCEEDED, ""
        execution.save(update_fields=["state", "message", "updated_at"])
        _log(execution)
    if run.phase != RunPhase.SUCCEEDED:
        reason, message = _REASONS[RunReason(run.reason)], _words(run, run.message)
        is_untold = execution.reason == FailureReason.CALLBACK and execution.message == UNTOLD
        # A run that was stopped because its execution had ended adds nothing to the reason.
        if is_untold and not (run.wind_up_at and run.reason == RunReason.STOPPED):
            _rewrite_failure(execution, reason=reason, message=message)
    else:
        reason, message = FailureReason.ENGINE, "The Workflow succeeded without reporting what it produced."
    if execution.state not in ENDED:
        failure_written(execution, reason=reason, message=message)


def failure_amended(run: WorkflowRun, before: str) -> None:
    """Copy a run's amended message to its execution if the execution failed with the run's earlier message."""
    failed = Execution.objects.select_for_update().filter(
        pk=run.owner_id, attempt=run.attempt, state=State.FAILED, reason=_REASONS[RunReason(run.reason)]
    )
    execution = failed.first()
    if execution is not None and execution.message == _clipped(_words(run, before)):
        execution.message = _clipped(run.message)
        execution.save(update_fields=["message", "updated_at"])


def reported_success(run: WorkflowRun) -> bool | None:
    """Return whether the Workflow of a run reported success, or None if it did not report its end."""
    known = Execution.objects.filter(pk=run.owner_id, attempt=run.attempt).values_list("state", "reason").first()
    if known == (State.SUCCEEDED, FailureReason.NONE):
        return True
    return False if known == (State.FAILED, FailureReason.CALLBACK) else None


def _words(run: WorkflowRun, message: str) -> str:
    return message or f"The Workflow {'was lost' if run.phase == RunPhase.LOST else run.phase}."


def _clipped(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]} […]"


def execution_of_attempt(execution_id: int, attempt: int | None) -> Execution:
    """Return an execution's row, locked: only under the lock is it certain that the attempt is the present one.

    Raises NotFound, and NotAllowedInState for an earlier attempt.
    """
    execution = execution_locked(execution_id)
    if attempt is not None and attempt != execution.attempt:
        raise NotAllowedInState(f"Attempt {attempt} is over: attempt {execution.attempt} has begun.")
    return execution


def _may_become(execution: Execution, wanted: State) -> bool:
    move = TRANSITIONS[State(execution.state), wanted]
    if move is Move.REFUSE:
        raise NotAllowedInState(f"The execution has {execution.state}; its state cannot change to {wanted}.")
    return move is Move.CHANGE


def _refuse(faults: list[Any]) -> None:
    if faults:
        raise InvalidInput(faults=faults)


def _has_nothing_to_report(execution: Execution) -> bool:
    return schema_facts(schema_of(execution)).produces_nothing


def _succeeded_shape(facts: SchemaFacts) -> dict[str, Any]:
    output = facts.elements.output
    return shapes.succeeded(model=output.ai_model, metrics=output.evaluation_metrics, file=output.generic_file)


def _outcome(document: Mapping[str, Any]) -> Outcome:
    metrics = document.get("evaluation_metrics")
    return Outcome(
        ai_model=document["ai_model"]["ai_model"] if "ai_model" in document else None,
        evaluation_metrics=None if metrics is None else tuple(each["evaluation_metric"] for each in metrics),
        generic_file=document["generic_file"]["generic_file"] if "generic_file" in document else None,
    )


def _log(execution: Execution) -> None:
    logger.info(
        "execution changed state",
        extra={"execution_id": execution.pk, "state": execution.state, "reason": execution.reason},
    )
