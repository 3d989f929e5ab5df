"""Cohorts and texts that are too long for arguments: what is taken, and what a Workflow's step runners fetch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.fetched_parameters import LONGEST_ARGUMENT, PATIENTS
from executions.models import Execution
from executions.services import execution_create
from runs.models import WorkflowRun
from tests.executions.conftest import (
    FEDERATED,
    MANIFEST,
    federated_document,
    multipart,
    output_model,
    platform_data,
    training_document,
    training_files,
    upload,
)
from tests.executions.test_callbacks import client_with
from tests.executions.test_callbacks import url as url_of
from tests.executions.test_posts import pointers
from web.grants import Role, WorkflowGrant

TAG = "{{workflow.parameters.execution_dataPartnerPatients}}"
DESCRIPTION = "execution_outputAIModelDescription"
_IDS = {"data-partner-1": ["004-000001", "004-000002"], "data-partner-2": ["004-000001", "004-000002"]}


def pasting(text: str, *, into_engine: bool = False) -> Any:
    """Return a manifest that pastes a text into what the step runner, or an AI engine, is started with."""
    manifest = copy.deepcopy(MANIFEST)
    train = manifest["spec"]["templates"][1]
    container = train["containerSet"]["containers"][1] if into_engine else train["initContainers"][0]
    container["args"] = [text]
    return manifest


def cohort(patients: int) -> dict[str, Any]:
    return {"platform_data": platform_data("data-partner-1", patients=patients)}


@pytest.fixture
def federated(make_schema: Any) -> Execution:
    make_schema("federated", FEDERATED)
    return execution_create(document=federated_document(), files=training_files())


def ask(execution: Execution, name: str, role: Role = Role.MAIN, partner: str = "") -> Any:
    client = client_with(WorkflowGrant("execution", execution.pk, 1, "its-name", role, partner))
    return client.get(url_of(execution, f"retrieve_workflow_parameter/?name={name}"))


def test_a_cohort_that_no_argument_holds_is_taken_and_fetched(api: APIClient, make_schema: Any) -> None:
    make_schema(manifest=pasting(f'{{"patients": {TAG}}}'))

    response = api.post(
        "/api/executions/", multipart(training_document(input_elements=cohort(20_000)), training_files())
    )

    assert response.status_code == 201, response.json()
    manifest = WorkflowRun.objects.get().manifest
    given = {each["name"]: each.get("value") for each in manifest["spec"]["arguments"]["parameters"]}
    assert given[PATIENTS] == '{"$parameter":"execution_dataPartnerPatients"}'
    fetched = ask(Execution.objects.get(), PATIENTS).json()["value"]
    assert len(fetched["data-partner-1"]) == 20_000


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_cohort_that_an_ai_engine_could_not_be_started_with_is_refused(
    api: APIClient, make_schema: Any, query: str
) -> None:
    make_schema(manifest=pasting(TAG, into_engine=True))
    document = training_document(input_elements=cohort(20_000))

    response = api.post(f"/api/executions/{query}", multipart(document, training_files()))

    assert response.status_code == 400
    assert pointers(response) == ["/data/input_elements/platform_data/data_partners_patients"]
    (fault,) = response.json()["errors"]
    assert "args/0 of the container 'main-ai-engine' of the template 'train'" in fault["detail"]
    assert not Execution.objects.exists()


def test_a_description_that_an_ai_engine_could_not_be_started_with_is_refused(api: APIClient, make_schema: Any) -> None:
    make_schema(manifest=pasting(f"{{{{workflow.parameters.{DESCRIPTION}}}}}", into_engine=True))
    # Each character comes as six, for a manifest pastes it into a JSON text.
    document = training_document(output_elements=output_model(description="\u5931" * 50_000))

    response = api.post("/api/executions/", multipart(document, training_files()))

    assert (response.status_code, pointers(response)) == (400, ["/data/output_elements/ai_model/description"])


def test_a_manifest_that_never_fits_is_the_schemas_fault(api: APIClient, make_schema: Any) -> None:
    make_schema(manifest=pasting("x" * (LONGEST_ARGUMENT + 1), into_engine=True))

    response = api.post("/api/executions/", multipart(training_document(), training_files()))

    assert (response.status_code, pointers(response)) == (400, ["/data/schema"])


def test_a_small_cohort_goes_to_an_ai_engine_as_it_always_did(make_schema: Any) -> None:
    make_schema(manifest=pasting(TAG, into_engine=True))

    execution_create(document=training_document(), files=training_files())

    given = WorkflowRun.objects.get().manifest["spec"]["arguments"]["parameters"]
    assert {"name": PATIENTS, "value": '{"data-partner-1":["004-000001","004-000002"]}'} in given


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (PATIENTS, _IDS),
        (DESCRIPTION, "initial model trained on platform data"),
        ("execution_outputAIModelName", "init_plt_data"),
        ("execution_outputAIModelMergeType", "default"),
    ],
)
@pytest.mark.parametrize("role", [Role.MAIN, Role.SERVER])
def test_roles_on_the_central_node_fetch_all(federated: Execution, role: Role, name: str, value: Any) -> None:
    response = ask(federated, name, role)

    assert (response.status_code, response.json()) == (200, {"value": value})


def test_a_client_fetches_its_own_patients_only(federated: Execution) -> None:
    one = ask(federated, PATIENTS, Role.CLIENT, "data-partner-2")
    nobodys = ask(federated, PATIENTS, Role.CLIENT)

    assert one.json() == {"value": {"data-partner-2": _IDS["data-partner-2"]}}
    assert nobodys.json() == {"value": {}}


def test_other_parameters_are_not_to_be_fetched(federated: Execution) -> None:
    response = ask(federated, "execution_id")

    assert (response.status_code, pointers(response)) == (400, ["/query/name"])


def test_another_executions_parameters_are_refused(federated: Execution) -> None:
    client = client_with(WorkflowGrant("execution", federated.pk + 1, 1, "another"))

    response = client.get(url_of(federated, f"retrieve_workflow_parameter/?name={PATIENTS}"))

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("field", "text"), [("description", "d" * 100_001), ("name", "n" * 101), ("name", " \n"), ("merge_type", "m" * 51)]
)
def test_what_the_registry_would_refuse_after_the_training_is_refused(
    api: APIClient, make_schema: Any, field: str, text: str
) -> None:
    make_schema()
    document = training_document(output_elements=output_model(**{field: text}))

    response = api.post("/api/executions/", multipart(document, training_files()))

    assert (response.status_code, pointers(response)) == (400, [f"/data/output_elements/ai_model/{field}"])


def test_user_vars_that_the_registry_would_refuse_after_the_training_are_refused(
    api: APIClient, make_schema: Any
) -> None:
    make_schema()
    name = "main-ai-engine_version_user_vars"
    large = upload(b'{"a": "' + b"a" * 10 * 1024**2 + b'"}')

    response = api.post("/api/executions/", multipart(training_document(), {name: large}))

    assert (response.status_code, pointers(response)) == (413, [f"/files/{name}"])
