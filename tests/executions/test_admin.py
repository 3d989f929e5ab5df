from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from executions.models import Execution, ExecutionDataPartner
from executions.outcomes import execution_to_failed
from executions.progress import progress_reported
from executions.services import execution_create, execution_stop
from runs.models import RunNodes, WorkflowRun
from tests.executions.conftest import FEDERATED, federated_document, training_document, training_files

LIST = "/admin/executions/execution/"
FORMSET_PARTS = ("TOTAL_FORMS", "INITIAL_FORMS")
NODES = {
    "a": {"displayName": "main", "type": "Steps", "phase": "Failed", "children": ["b"]},
    "b": {"displayName": "train", "type": "Pod", "phase": "Failed", "message": "<b>out of memory</b>"},
}


@pytest.fixture
def operator(db: None, settings: Any) -> Client:
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


def act(operator: Client, action: str, *executions: Execution) -> str:
    data = {"action": action, "_selected_action": [str(each.pk) for each in executions]}
    return operator.post(LIST, data, follow=True).content.decode()


def queries_of_list(operator: Client) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert operator.get(LIST).status_code == 200
    return len(queries)


def test_the_list_asks_no_query_for_each_row(operator: Client, training: Execution) -> None:
    few = queries_of_list(operator)
    for _ in range(10):
        execution_create(document=training_document(), files=training_files())

    assert queries_of_list(operator) == few


def test_the_list_shows_state_reason_and_progress(operator: Client, training: Execution) -> None:
    execution_to_failed(execution_id=training.pk, document={"message": "out of memory"})
    WorkflowRun.objects.update(progress="2/5")

    page = operator.get(LIST).content.decode()

    assert "out of memory" in page
    assert "2/5" in page


@pytest.mark.parametrize("query", ["state=failed", "reason=engine", "q=training", "q=12", "schema__id__exact=1"])
def test_the_list_is_filtered_and_searched(operator: Client, training: Execution, query: str) -> None:
    assert operator.get(f"{LIST}?{query}", follow=True).status_code == 200


def test_the_detail_shows_the_rounds_of_a_federated_training(operator: Client, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)
    execution = execution_create(document=federated_document(), files=training_files())
    told = {"role": "client", "client": "data-partner-1", "step": "failed", "round": 1, "message": "<b>no memory</b>"}
    progress_reported(execution_id=execution.pk, document=told)

    page = operator.get(f"{LIST}{execution.pk}/change/").content.decode()

    assert "&lt;b&gt;no memory&lt;/b&gt;" in page
    assert f"/api/executions/{execution.pk}/rounds/plot/" in page


def test_the_detail_shows_steps_and_manifest_readably(operator: Client, training: Execution) -> None:
    RunNodes.objects.update(nodes=NODES)

    page = operator.get(f"{LIST}{training.pk}/change/").content.decode()

    assert "train" in page
    assert "&lt;b&gt;out of memory&lt;/b&gt;" in page
    assert "entrypoint: main" in page
    assert WorkflowRun.objects.get().name in page


def test_the_detail_holds_no_clinical_data(operator: Client, training: Execution) -> None:
    page = operator.get(f"{LIST}{training.pk}/change/").content.decode()

    assert "breast_cancer" not in page


def test_the_detail_links_to_the_files(operator: Client, inference: Execution) -> None:
    page = operator.get(f"{LIST}{inference.pk}/change/").content.decode()

    for path in ("download_external_data/", "download_report_metadata/", "download_user_vars/?descriptor=main"):
        assert f"/api/executions/{inference.pk}/{path}" in page


def test_an_execution_without_a_run_has_a_page_too(operator: Client, training: Execution) -> None:
    WorkflowRun.objects.all().delete()

    assert operator.get(f"{LIST}{training.pk}/change/").status_code == 200


def test_stopping_several(operator: Client, training: Execution) -> None:
    other = execution_create(document=training_document(), files=training_files())

    page = act(operator, "stop_selected", training, other)

    assert f"Execution {training.pk} was stopped." in page
    assert set(Execution.objects.values_list("state", "reason")) == {("failed", "stopped")}


def test_retrying_several_says_which_cannot(operator: Client, training: Execution) -> None:
    other = execution_create(document=training_document(), files=training_files())
    execution_stop(execution_id=training.pk)

    page = act(operator, "retry_selected", training, other)

    assert f"Execution {training.pk} was retried." in page
    assert set(Execution.objects.values_list("pk", "attempt")) == {(training.pk, 2), (other.pk, 1)}
    assert f"Execution {other.pk}: The execution is pending" in page


def test_deleting_goes_through_the_service(operator: Client, training: Execution) -> None:
    operator.post(f"{LIST}{training.pk}/delete/", {"post": "yes"})

    assert not Execution.objects.exists()
    assert WorkflowRun.objects.get().delete_requested_at is not None


def test_deleting_several_goes_through_the_service(operator: Client, training: Execution) -> None:
    operator.post(LIST, {"action": "delete_selected", "_selected_action": [str(training.pk)], "post": "yes"})

    assert not Execution.objects.exists()
    assert WorkflowRun.objects.get().delete_requested_at is not None


def test_nothing_can_be_added_by_hand(operator: Client) -> None:
    assert operator.get(f"{LIST}add/").status_code == 403


def test_the_detail_asks_no_more_for_more_partners_and_steps(operator: Client, training: Execution) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(f"{LIST}{training.pk}/change/").status_code == 200
        return len(captured)

    queries()  # some is asked once in a process only
    few = queries()
    for number in range(5):
        ExecutionDataPartner.objects.create(
            execution=training, position=10 + number, name=f"further-{number}", patient_ids=[], entry={}
        )
    RunNodes.objects.update(nodes={str(number): {"displayName": f"step-{number}"} for number in range(50)})

    assert queries() == few


def test_one_is_stopped_and_tried_again_from_its_own_page(operator: Client, training: Execution) -> None:
    address = f"{LIST}{training.pk}/change/"
    assert 'name="_stop"' in operator.get(address).content.decode()
    prefixes = ("data_partners", "ai_engines", "earlier_attempts")
    formsets = {f"{prefix}-{part}": 0 for prefix in prefixes for part in FORMSET_PARTS}

    stopped = operator.post(address, {"_stop": "Stop", **formsets}, follow=True).content.decode()
    again = operator.post(address, {"_retry": "Retry", **formsets}, follow=True).content.decode()

    assert f"Execution {training.pk} was stopped." in stopped
    assert 'name="_stop"' not in stopped
    assert 'name="_retry"' in stopped
    assert f"Execution {training.pk} was retried." in again
    assert 'name="_retry"' not in again
    assert "The execution was stopped" in again
    assert all(run.name in again for run in WorkflowRun.objects.all())


def test_what_came_of_it_is_linked_to_the_registry(operator: Client, training: Execution) -> None:
    Execution.objects.filter(pk=training.pk).update(ai_model=3, evaluation_metrics=[4, 5], generic_file=6)

    page = operator.get(f"{LIST}{training.pk}/change/").content.decode()

    for path in ("ai_models/3/", "evaluation_metrics/4/", "evaluation_metrics/5/", "generic_files/6/"):
        assert f'/api/{path}">' in page
