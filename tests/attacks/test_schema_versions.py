"""Versions of Schemas are no way round what a POST is held to, nor a way to change what others run."""

from __future__ import annotations

import json

import pytest
from rest_framework.test import APIClient

from schemas.models import Schema
from tests.attacks.hostile_manifests import HOSTILE, workflow
from tests.schemas.samples import form, part

pytestmark = pytest.mark.django_db
SCHEMA = "/api/schemas/training/"
SOME = ("secret volume", "host path", "host network", "http template", "container privileged", "image")


@pytest.fixture
def stored(api: APIClient) -> Schema:
    assert api.post("/api/schemas/", form(auxiliary_file=part(json.dumps(workflow())))).status_code == 201
    return Schema.objects.get()


@pytest.mark.parametrize("attack", SOME)
def test_a_hostile_version_is_refused_by_its_place(api: APIClient, stored: Schema, attack: str) -> None:
    manifest, pointer, rule = HOSTILE[attack]

    answer = api.patch(SCHEMA, {"auxiliary_file": part(json.dumps(manifest))}, format="multipart")

    assert answer.status_code == 400
    refused = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert f"refused by the rule {rule}" in refused[f"/files/auxiliary_file#{pointer}"]
    assert (Schema.objects.get().version, Schema.objects.get().manifest) == (1, stored.manifest)


def test_a_manifest_cannot_become_one_that_nobody_checks(api: APIClient, stored: Schema) -> None:
    hostile = part(json.dumps(HOSTILE["host path"][0]))

    answer = api.patch(SCHEMA, form({"implementation": "dummy"}, auxiliary_file=hostile), format="multipart")

    assert answer.status_code == 400
    assert Schema.objects.get().implementation == "argo_workflows"
