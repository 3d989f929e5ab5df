"""What callers of the API do with an execution.

    execution = execution_create(document=body.data, files=body.files)
    execution_stop(execution_id=execution.pk)
    execution_delete(execution_id=execution.pk)

The retry is in attempts.py; reports of Workflows and engines are handled in outcomes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from executions.facts import EXTERNAL_DATA, OWNER_KIND, REPORT_METADATA, user_vars_part
from executions.models import Execution, ExecutionAIEngine, ExecutionDataPartner, FailureReason
from executions.outcomes import failure_written
from executions.posting import Posted, check_posted
from executions.rendering import Rendering
from executions.selectors import ShownExecution, execution_as_posted, execution_locked, no_such_execution
from executions.trainings import refuse_second_training
from executions.transitions import State
from executions.uploads import Uploads
from executions.workflows import workflow_queued, workflow_rendered
from runs.models import WorkflowRun
from runs.selectors import run_latest
from runs.services import run_delete, run_stop
from schemas.models import Schema
from web.errors import Fault, InvalidInput, NotAllowedInState
from web.once import created
from web.storage import delete_after_commit, save, stored_files


def execution_create(*, document: Mapping[str, Any], files: Uploads, start: bool = True) -> Execution:
    """Store a posted execution and queue its Workflow; `start=False` only stores it.

    Raises InvalidInput with every fault, TooLarge, StorageFull, and ServiceUnavailable if the registry does not answer.
    """
    return execution_post(document=document, files=files, start=start).row


def execution_post(*, document: Mapping[str, Any], files: Uploads, start: bool = True) -> ShownExecution:
    """Create an execution as `execution_create` does, and return what answers show of it."""
    posted = check_posted(document, files, start=start)
    execution, run = _store(posted, start=start)
    return execution_as_posted(execution, posted.request, run)


def execution_preview(*, document: Mapping[str, Any], files: Uploads) -> Rendering:
    """Return the Workflow that a posted execution would get, under id 0; stores nothing. Raises what a POST raises."""
    posted = check_posted(document, files)
    return workflow_rendered(posted, Execution(pk=0, created_at=timezone.now()))


def execution_stop(*, execution_id: int) -> Execution:
    """Stop an execution and keep its record; it fails at once with the reason `stopped`, its Workflow ends later.

    An execution that has failed keeps its reason; what still runs of its Workflow is stopped. Raises NotFound, and
    NotAllowedInState if nothing is left to stop.
    """
    message = "Stopped on request."
    with transaction.atomic():
        # The run is locked first: phase_changed locks in this order too.
        run = run_latest(OWNER_KIND, execution_id)
        something_runs = run is not None and not run.is_terminal
        if run is not None:
            run_stop(run_id=run.pk, message=message)
        execution = execution_locked(execution_id)
        is_over = execution.state == State.SUCCEEDED or (execution.state == State.FAILED and not something_runs)
        if is_over and execution.reason != FailureReason.STOPPED:
            raise NotAllowedInState(f"The execution has {execution.state}; there is nothing to stop.")
        failure_written(execution, reason=FailureReason.STOPPED, message=message)
    return execution


def execution_delete(*, execution_id: int) -> None:
    """Delete an execution and its files; the controller deletes its Workflow. Raises NotFound."""
    with transaction.atomic():
        if not Execution.objects.filter(pk=execution_id).exists():
            raise no_such_execution()
        run_delete(owner_kind=OWNER_KIND, owner_id=execution_id)
        execution = execution_locked(execution_id)
        files = _stored_files(execution).values()
        execution.delete()
        delete_after_commit(*files)


def schema_executions_released(schema: Schema) -> None:
    """End the Workflows and delete the files of all executions of a Schema that is deleted, in its transaction."""
    for execution in schema.executions.prefetch_related("ai_engines").iterator(chunk_size=200):
        run_delete(owner_kind=OWNER_KIND, owner_id=execution.pk)
        delete_after_commit(*_stored_files(execution).values())


def _store(posted: Posted, *, start: bool) -> tuple[Execution, WorkflowRun | None]:
    request = posted.request
    run = None
    model = request.output_model
    execution = Execution(
        schema=posted.schema,
        schema_version=posted.version.version,
        created_at=timezone.now(),
        number_iterations=request.number_iterations,
        federated_options=request.federated_options.document() or None,
        output_model_name=model.name if model else "",
        output_model_description=model.description if model else "",
        output_model_merge_type=model.merge_type if model else "",
    )
    engines = [
        ExecutionAIEngine(
            execution=execution,
            position=position,
            descriptor=chosen.descriptor,
            version=chosen.version,
            ai_model=chosen.ai_model,
            snapshot=asdict(snapshot),
        )
        for position, (chosen, snapshot) in enumerate(zip(request.engines, posted.snapshots, strict=True))
    ]
    with stored_files():
        # Files are written before the transaction begins: a large file would make every other writer wait.
        _save_files(posted.files, execution, engines)
        with transaction.atomic():
            _lock_schema(posted.schema)
            if start and posted.facts.is_started:
                refuse_second_training(posted.request)
            execution.save(force_insert=True)
            created(f"/api/executions/{execution.pk}/")
            ExecutionDataPartner.objects.bulk_create(_partner_rows(posted, execution))
            ExecutionAIEngine.objects.bulk_create(engines)
            if start and posted.facts.is_started:
                run = workflow_queued(workflow_rendered(posted, execution), execution)
    return execution, run


def _save_files(files: Uploads, execution: Execution, engines: list[ExecutionAIEngine]) -> None:
    if EXTERNAL_DATA in files:
        save(execution.external_data, "external_data.zip", files[EXTERNAL_DATA])
    if REPORT_METADATA in files:
        save(execution.report_metadata, "report_metadata.json", files[REPORT_METADATA])
    for engine in engines:
        save(engine.user_vars, "user_vars.json", files[user_vars_part(engine.descriptor)])


def _lock_schema(schema: Schema) -> None:
    """Lock the Schema until the execution is stored; it may have been deleted while the registry was asked."""
    if not Schema.objects.select_for_update().filter(pk=schema.pk).order_by().values_list("pk", flat=True):
        raise InvalidInput(
            faults=[Fault("/data/schema", "is the name of a Schema that has been deleted since the request began")]
        )


def _partner_rows(posted: Posted, execution: Execution) -> list[ExecutionDataPartner]:
    return [
        ExecutionDataPartner(
            execution=execution,
            position=position,
            name=partner.name,
            system_path=partner.system_path,
            patient_ids=list(partner.patient_ids),
            entry=partner.entry,
        )
        for position, partner in enumerate(posted.request.partners)
    ]


def _stored_files(execution: Execution) -> dict[str, FieldFile]:
    files = {EXTERNAL_DATA: execution.external_data, REPORT_METADATA: execution.report_metadata}
    files |= {user_vars_part(engine.descriptor): engine.user_vars for engine in execution.ai_engines.all()}
    return {name: file for name, file in files.items() if file}
