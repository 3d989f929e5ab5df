"""The answer to a POST is lost after its COMMIT: the next try gets what was created, and creates nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.test import Client
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator

from executions.models import Execution
from executions.services import execution_create, execution_stop
from orchestrator_api.models import IdempotencyRecord
from orchestrator_api.tokens import token_create
from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile
from runs.models import WorkflowRun
from schemas.models import Schema
from tests.executions.conftest import CENTRAL
from tests.registry import samples
from tests.schemas.samples import document, part

pytestmark = pytest.mark.django_db
PLAIN = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "spec": {
        "entrypoint": "main",
        "templates": [{"name": "main", "nodeSelector": CENTRAL, "container": {"image": "busybox"}}],
    },
}
# These need no note of what they created: a repetition has the same effect, and messages have ids.
REPEATABLE = {
    "/api/ai_models/update_or_create/",
    "/api/evaluation_metrics/update_or_create/",
    "/api/channels/{channel_id}/{topic}/messages/",
}


@pytest.fixture
def client(person: User) -> Client:
    token = token_create(user=person, name="test", lifetime=timedelta(days=1))[1]
    return Client(headers={"authorization": f"Bearer {token}", "idempotency-key": "once"})


def store_schema() -> str:
    elements: dict[str, Any] = {"input_elements": {}, "ai_elements": {"ai_engines": []}, "output_elements": {}}
    return Schema.objects.create(
        name="plain", type="individual", implementation="argo_workflows", manifest=PLAIN, **elements
    ).name


def stopped_execution() -> int:
    execution = execution_create(document={"schema": store_schema()}, files={})
    execution_stop(execution_id=execution.pk)
    return execution.pk


def version_form() -> dict[str, Any]:
    data = {"ai_engine": samples.engine().pk, "container_version": "2", "functionalities": ["merging_models"]}
    return samples.form(data, default_user_vars_merging_models=samples.json_part())


def model_form() -> dict[str, Any]:
    return samples.form({"ai_engine_version": samples.version().pk, "name": "new"}, **samples.model_files())


def metric_form() -> dict[str, Any]:
    return samples.form({"ai_model": samples.model().pk, "name": "new", "value": 1})


# The path of each POST, what it sends, and what it creates.
POSTS: dict[str, tuple[Callable[[], dict[str, Any]], type[models.Model]]] = {
    "/api/ai_engines/": (lambda: samples.form(samples.engine_data()), AIEngine),
    "/api/ai_engines_versions/": (version_form, AIEngineVersion),
    "/api/ai_models/": (model_form, AIModel),
    "/api/evaluation_metrics/": (metric_form, EvaluationMetric),
    "/api/generic_files/": (lambda: samples.form({"name": "g"}, contents=samples.zip_part()), GenericFile),
    "/api/schemas/": (lambda: samples.form(document(name="100 % größer, Ωμέγα?#"), auxiliary_file=part()), Schema),
    "/api/executions/": (lambda: samples.form({"schema": store_schema()}), Execution),
    "/api/executions/{execution_id}/retry/": (lambda: {}, WorkflowRun),
}


@pytest.mark.parametrize("path", POSTS)
def test_what_was_created_is_answered_and_not_created_again(client: Client, path: str) -> None:
    body, kind = POSTS[path]
    address = path.format(execution_id=stopped_execution()) if "{" in path else path
    sent = body()
    first = client.post(address, sent)
    assert first.status_code == 201, first.content
    number = kind._default_manager.count()
    # As after an answer to COMMIT that did not arrive.
    IdempotencyRecord.objects.update(status=None, leased_until=timezone.now(), body=b"")

    for uploaded in sent.values():
        if hasattr(uploaded, "seek"):
            uploaded.seek(0)
    again = client.post(address, sent)

    assert (again.status_code, again.json()) == (201, first.json())
    assert unquote(again["Location"]) == unquote(first["Location"])
    assert kind._default_manager.count() == number


def test_no_post_that_creates_is_left_out() -> None:
    paths = SchemaGenerator().get_schema(public=True)["paths"]

    creating = {path for path, operations in paths.items() if "201" in operations.get("post", {}).get("responses", {})}

    assert creating == POSTS.keys() | REPEATABLE
