"""A further attempt of an execution that failed.

    execution = execution_retry(execution_id=7)
    execution = execution_retry(execution_id=7, version=2)

The inputs stay as they were posted, with the registry's answers of that time. The Workflow is rendered anew from the
execution's version of the Schema, or from the version that is given. Earlier attempts keep their runs and outcomes.
"""

from __future__ import annotations

from django.db import transaction

from executions.facts import OWNER_KIND, ChosenEngine, EngineSnapshot, ExecutionRequest, OutputModel, Partner
from executions.models import Execution, ExecutionAttempt, ExecutionState, FailureReason
from executions.posting import Posted
from executions.selectors import execution_locked, schema_facts, schema_of
from executions.trainings import training_under_way
from executions.workflows import workflow_queued, workflow_rendered
from runs.models import WorkflowRun
from runs.selectors import run_latest_locked
from schemas.federated import FederatedOptions
from schemas.models import EarlierSchemaVersion, Schema
from schemas.selectors import schema_version
from web.errors import Conflict, Fault, InvalidInput, NotAllowedInState, NotFound
from web.once import created

_AT_VERSION = "/query/schema_version"
_ASKED_FOR = ("implementation", "input_elements", "ai_elements", "output_elements")


def execution_retry(*, execution_id: int, version: int | None = None) -> Execution:
    """Begin the next attempt of a failed execution, with another version of its Schema if one is given.

    Of several concurrent calls, one succeeds. Raises NotFound, InvalidInput for a version that does not exist or asks
    for other elements, and NotAllowedInState if the execution cannot be retried now.
    """
    with transaction.atomic():
        # The run is locked first: phase_changed locks in this order too.
        run = run_latest_locked(OWNER_KIND, execution_id)
        execution = execution_locked(execution_id)
        _refuse_unless_over(execution, run)
        taken = _version_taken(execution, version)
        posted = _as_posted(execution, taken)
        if (other := training_under_way(posted.request)) is not None:
            raise Conflict(f"Execution {other} has not ended and trains the same model; wait until it has ended.")
        ExecutionAttempt.objects.create(
            execution=execution,
            attempt=execution.attempt,
            schema_version=execution.schema_version,
            state=execution.state,
            reason=execution.reason,
            message=execution.message,
            ended_at=execution.updated_at,
        )
        execution.attempt += 1
        execution.schema_version = taken.version
        execution.state, execution.reason, execution.message = ExecutionState.PENDING, FailureReason.NONE, ""
        execution.save(update_fields=["attempt", "schema_version", "state", "reason", "message", "updated_at"])
        created(f"/api/executions/{execution.pk}/")
        workflow_queued(workflow_rendered(posted, execution), execution)
    return execution


def _refuse_unless_over(execution: Execution, run: WorkflowRun | None) -> None:
    if execution.state != ExecutionState.FAILED:
        state = "has succeeded" if execution.state == ExecutionState.SUCCEEDED else f"is {execution.state}"
        raise NotAllowedInState(f"The execution {state}; only a failed execution can be retried.")
    if run is None:
        raise NotAllowedInState("The execution was stored but never started; there is no attempt to retry.")
    if run.attempt != execution.attempt:
        raise NotAllowedInState("Another attempt of the execution has already begun.")
    if run.delete_requested_at:
        raise NotAllowedInState("The execution's Workflow is being deleted.")
    if run.workflow_ended_at is None:
        raise NotAllowedInState(
            f"The Workflow {run.name} of the last attempt has not ended yet; retry when it has ended."
        )


def _version_taken(execution: Execution, number: int | None) -> Schema | EarlierSchemaVersion:
    """Return the version of the Schema for the next attempt; it must ask for exactly what was posted."""
    present = schema_of(execution)
    if number is None or number == present.version:
        return present
    try:
        other = schema_version(execution.schema, number)
    except NotFound as error:
        raise InvalidInput(faults=[Fault(_AT_VERSION, error.detail)]) from error
    if any(getattr(other, field) != getattr(present, field) for field in _ASKED_FOR):
        detail = f"asks for other elements than version {present.version}: post a new execution"
        raise InvalidInput(faults=[Fault(_AT_VERSION, detail)])
    return other


def _as_posted(execution: Execution, version: Schema | EarlierSchemaVersion) -> Posted:
    """Return the posted request from an execution's rows, without clinical data: no Workflow gets any."""
    engines = list(execution.ai_engines.all())
    partners = execution.data_partners.values_list("name", "system_path", "patient_ids")
    model = OutputModel(
        execution.output_model_name, execution.output_model_description, execution.output_model_merge_type
    )
    request = ExecutionRequest(
        schema=execution.schema.name,
        partners=tuple(Partner(name, path, tuple(patients), {}) for name, path, patients in partners),
        number_iterations=execution.number_iterations,
        engines=tuple(ChosenEngine(engine.descriptor, engine.version, engine.ai_model) for engine in engines),
        output_model=model if model.name else None,
        federated_options=FederatedOptions.of(execution.federated_options),
    )
    snapshots = tuple(EngineSnapshot(**engine.snapshot) for engine in engines)
    return Posted(execution.schema, version, schema_facts(version), request, snapshots)
