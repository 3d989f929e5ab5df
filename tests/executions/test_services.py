from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.models import Execution, ExecutionDataPartner
from executions.outcomes import execution_to_failed, execution_to_succeeded
from executions.services import (
    execution_create,
    execution_delete,
    execution_preview,
    execution_stop,
    schema_executions_released,
)
from executions.transitions import State
from runs.models import RunPhase, WorkflowRun
from runs.services import run_stop
from schemas.deletion import before_delete
from schemas.models import Schema
from tests.executions.conftest import (
    FEDERATED,
    INFERENCE,
    content,
    federated_document,
    inference_document,
    inference_files,
    training_document,
    training_files,
)
from web.errors import InvalidInput, NotAllowedInState, NotFound, StorageFull


def stored_paths(settings: Any) -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_an_execution_is_stored_with_its_run(training: Execution) -> None:
    run = WorkflowRun.objects.get()

    assert training.state == State.PENDING
    assert (run.owner_kind, run.owner_id, run.attempt, run.phase) == ("execution", training.pk, 1, RunPhase.QUEUED)
    assert run.name.startswith(f"execution-{training.pk}-1-")
    assert run.manifest["metadata"]["name"] == run.name
    assert run.config_maps[f"{run.name}-platform-vars"]["platform_vars.json"]
    assert run.deadline_at is not None
    assert run.pending_deadline_at is not None


@pytest.mark.parametrize(("engine", "kind"), [("local", "hostPath"), ("argo", "persistentVolumeClaim")])
def test_a_partners_folder_is_a_claim_on_a_cluster_alone(
    make_schema: Callable[..., Schema], settings: Any, engine: str, kind: str
) -> None:
    settings.ENGINES = {"local": settings.ENGINES["local"], "argo": {"class": "engines.argo.ArgoEngine"}}
    settings.ENGINE = engine
    settings.DATA_PARTNER_CLAIMS = {"data-partner-1": {"/srv/data": "data-partner-1-data"}}
    settings.DATA_PARTNER_PATHS = {"data-partner-1": ["/srv"]}
    volume = {"name": "data", "hostPath": {"path": "{{workflow.parameters.execution_dataPartnerDataPath}}"}}
    template = {"name": "main", "container": {"image": "busybox:1", "command": ["true"]}, "volumes": [volume]}
    make_schema(manifest={"spec": {"entrypoint": "main", "templates": [template]}})
    document = training_document()
    document["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]["system_path"] = "/srv/data"

    execution_create(document=document, files=training_files())

    (rendered,) = WorkflowRun.objects.get().manifest["spec"]["templates"][0]["volumes"]
    assert set(rendered) == {"name", kind}


def test_what_was_posted_is_kept_whole(training: Execution) -> None:
    partner = ExecutionDataPartner.objects.get()

    posted = training_document()["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]
    assert partner.entry == posted
    assert content(training.ai_engines.get().user_vars) == b'{"epochs": 3}'
    assert training.output_model_merge_type == ""


def test_debug_stores_and_starts_nothing(make_schema: Any) -> None:
    make_schema()

    execution_create(document=training_document(), files=training_files(), start=False)

    assert Execution.objects.count() == 1
    assert not WorkflowRun.objects.exists()


def test_a_dummy_schema_starts_nothing(make_schema: Any) -> None:
    make_schema(implementation="dummy", manifest=None)

    execution = execution_create(document=training_document(), files=training_files())

    assert execution.state == State.PENDING
    assert not WorkflowRun.objects.exists()


def test_a_preview_fills_in_everything_and_stores_nothing(make_schema: Any, settings: Any) -> None:
    make_schema("federated", FEDERATED)

    preview = execution_preview(document=federated_document(), files=training_files())

    given = {each["name"]: each.get("value") for each in preview.manifest["spec"]["arguments"]["parameters"]}
    assert given.items() >= preview.parameters.items()
    assert preview.parameters["execution_federatedConfigNumberIterations"] == "2"
    assert not Execution.objects.exists()
    assert not WorkflowRun.objects.exists()
    assert stored_paths(settings) == []


def test_a_preview_of_a_dummy_schema_has_no_manifest(make_schema: Any) -> None:
    make_schema(implementation="dummy", manifest=None)

    preview = execution_preview(document=training_document(), files=training_files())

    assert preview.manifest == {}
    assert preview.parameters["execution_id"] == "0"


def test_faults_leave_neither_rows_nor_files(make_schema: Any, settings: Any) -> None:
    make_schema("inference", INFERENCE)
    files = {**inference_files(), "more": inference_files()["external_data"]}

    with pytest.raises(InvalidInput):
        execution_create(document=inference_document(), files=files)

    assert not Execution.objects.exists()
    assert stored_paths(settings) == []


def test_a_disk_that_fills_up_leaves_neither_rows_nor_files(
    make_schema: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_schema("inference", INFERENCE)
    save, saves = FileSystemStorage._save, []

    def full_at_the_third(self: FileSystemStorage, name: str, content: Any) -> str:
        saves.append(name)
        if len(saves) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, name, content)

    monkeypatch.setattr(FileSystemStorage, "_save", full_at_the_third)
    with pytest.raises(StorageFull):
        execution_create(document=inference_document(), files=inference_files())

    assert len(saves) == 3
    assert not Execution.objects.exists()
    assert stored_paths(settings) == []


def test_posting_needs_few_queries(make_schema: Any) -> None:
    make_schema("federated", FEDERATED)

    with CaptureQueriesContext(connection) as queries:
        execution_create(document=federated_document(patients=200), files=training_files())

    sent = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(sent) <= 16, sent


@pytest.mark.django_db(transaction=True)
def test_deleting_takes_files_and_ends_the_workflow(inference: Execution, settings: Any) -> None:
    assert len(stored_paths(settings)) == 3

    execution_delete(execution_id=inference.pk)

    assert not Execution.objects.exists()
    assert stored_paths(settings) == []
    assert WorkflowRun.objects.get().delete_requested_at is not None


def test_what_is_not_there_cannot_be_deleted_or_stopped(db: None) -> None:
    for verb in (execution_delete, execution_stop):
        with pytest.raises(NotFound):
            verb(execution_id=1)


@pytest.mark.django_db(transaction=True)
def test_a_schema_takes_its_executions_files_and_workflows_along(inference: Execution, settings: Any) -> None:
    before_delete(inference.schema)
    inference.schema.delete()

    assert WorkflowRun.objects.get().delete_requested_at is not None
    assert stored_paths(settings) == []
    assert not Execution.objects.exists()


def test_a_schema_is_released_in_few_queries(make_schema: Any, django_assert_max_num_queries: Any) -> None:
    schema = make_schema()
    for _ in range(3):
        execution_create(document=training_document(), files=training_files(), start=False)

    with django_assert_max_num_queries(14):
        schema_executions_released(schema)


def test_stopping_fails_the_execution_and_keeps_it(training: Execution) -> None:
    stopped = execution_stop(execution_id=training.pk)

    assert (stopped.state, stopped.reason) == (State.FAILED, "stopped")
    assert WorkflowRun.objects.get().stop_requested_at is not None


def test_stopping_twice_changes_nothing(training: Execution) -> None:
    first = execution_stop(execution_id=training.pk)

    assert execution_stop(execution_id=training.pk).updated_at == first.updated_at


def test_an_exit_handler_does_not_rewrite_who_stopped_it(training: Execution) -> None:
    WorkflowRun.objects.update(handed_over_at=training.created_at, phase=RunPhase.RUNNING)
    execution_stop(execution_id=training.pk)

    execution = execution_to_failed(execution_id=training.pk, document={"message": "Stopped with strategy 'Stop'"})

    assert execution.reason == "stopped"


def test_stopping_what_never_started_works_too(make_schema: Any) -> None:
    make_schema()
    execution = execution_create(document=training_document(), files=training_files(), start=False)

    assert execution_stop(execution_id=execution.pk).state == State.FAILED


def test_what_has_ended_cannot_be_stopped(training: Execution) -> None:
    document = {"ai_model": {"ai_model": 1}, "evaluation_metrics": [{"evaluation_metric": 2}]}
    execution_to_succeeded(execution_id=training.pk, document=document)

    with pytest.raises(NotAllowedInState):
        execution_stop(execution_id=training.pk)

    assert WorkflowRun.objects.get().stop_requested_at is None


def test_what_is_left_of_a_failed_one_can_be_stopped(training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document={"message": "no"})

    stopped = execution_stop(execution_id=training.pk)

    assert (stopped.reason, stopped.message) == ("callback", "no")
    assert WorkflowRun.objects.get().phase == RunPhase.STOPPED


def test_what_has_failed_and_left_nothing_cannot_be_stopped(training: Execution) -> None:
    run_stop(run_id=WorkflowRun.objects.get().pk)
    Execution.objects.update(reason="engine")

    with pytest.raises(NotAllowedInState):
        execution_stop(execution_id=training.pk)
