"""A further attempt of an execution that failed.

    execution = execution_retry(execution_id=7)

The inputs are those that were posted, with what the registry said of them then; the Workflow is rendered anew from the
Schema. The runs of earlier attempts stay, and so does what came of each.
"""

from __future__ import annotations

from django.db import transaction

from executions.facts import OWNER_KIND, ChosenEngine, EngineSnapshot, ExecutionRequest, OutputModel, Partner
from executions.models import Execution, ExecutionAttempt, ExecutionState, FailureReason
from executions.posting import Posted
from executions.selectors import execution_locked, schema_facts
from executions.trainings import training_under_way
from executions.workflows import workflow_queued, workflow_rendered
from runs.models import WorkflowRun
from runs.selectors import run_latest_locked
from schemas.federated import FederatedOptions
from web.errors import Conflict
from web.once import created


def execution_retry(*, execution_id: int) -> Execution:
    """Begin the next attempt of an execution that failed. Raises NotFound, and Conflict where that is not possible now.

    Of several that try at the same time, one does it.
    """
    with transaction.atomic():
        # The run first: phase_changed locks in this order too.
        run = run_latest_locked(OWNER_KIND, execution_id)
        execution = execution_locked(execution_id)
        _refuse_unless_over(execution, run)
        posted = _as_posted(execution)
        if (other := training_under_way(posted.request)) is not None:
            raise Conflict(f"Execution {other}, which is under way, trains the same model; wait until it has ended.")
        ExecutionAttempt.objects.create(
            execution=execution,
            attempt=execution.attempt,
            state=execution.state,
            reason=execution.reason,
            message=execution.message,
            ended_at=execution.updated_at,
        )
        execution.attempt += 1
        execution.state, execution.reason, execution.message = ExecutionState.PENDING, FailureReason.NONE, ""
        execution.save(update_fields=["attempt", "state", "reason", "message", "updated_at"])
        created(f"/api/executions/{execution.pk}/")
        workflow_queued(workflow_rendered(posted, execution), execution)
    return execution


def _refuse_unless_over(execution: Execution, run: WorkflowRun | None) -> None:
    if execution.state != ExecutionState.FAILED:
        raise Conflict(f"The execution is {execution.state}; only one that has failed can be tried again.")
    if run is None:
        raise Conflict("The execution was only stored, never started: there is nothing to try again.")
    if run.attempt != execution.attempt:
        raise Conflict("Another attempt has just begun.")
    if run.delete_requested_at:
        raise Conflict("The execution's Workflow is being deleted.")
    if run.workflow_ended_at is None:
        raise Conflict(f"The Workflow {run.name} of the last attempt has not ended yet; try again when it has.")


def _as_posted(execution: Execution) -> Posted:
    """Return what an execution was posted with, as its rows have it; without clinical data, which no Workflow gets."""
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
    return Posted(execution.schema, schema_facts(execution.schema), request, snapshots)
