"""Schemas in the admin: readable, and without a query for each row."""

import pytest
from django.contrib.auth.models import User

from schemas.models import Schema
from tests.schemas.samples import form

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


def fill(number):
    for i in range(number):
        Schema.objects.create(
            name=f"schema-{i}",
            type="individual",
            implementation="dummy",
            input_elements={"platform_data": True},
            ai_elements={"ai_engines": [{"descriptor": "engine-of-it"}]},
            output_elements={"generic_file": False},
        )


def test_the_list_shows_what_they_take_and_give(operator):
    fill(1)

    page = operator.get("/admin/schemas/schema/").content.decode()

    assert "platform_data" in page
    assert "engine-of-it" in page


def test_the_list_asks_no_more_for_more_rows(operator, django_assert_max_num_queries):
    fill(40)

    with django_assert_max_num_queries(8):
        assert operator.get("/admin/schemas/schema/").status_code == 200


def test_the_detail_shows_the_manifest_as_it_was_uploaded(operator, api):
    api.post("/api/schemas/", form(), format="multipart")

    page = operator.get(f"/admin/schemas/schema/{Schema.objects.get().pk}/change/").content.decode()

    assert "generateName: training-" in page
    assert "main-ai-engine" in page


def test_schemas_are_deleted_as_by_the_api(operator, api, settings, django_capture_on_commit_callbacks):
    api.post("/api/schemas/", form(), format="multipart")

    with django_capture_on_commit_callbacks(execute=True):
        operator.post(
            "/admin/schemas/schema/",
            {"action": "delete_selected", "_selected_action": [Schema.objects.get().pk], "post": "yes"},
        )

    assert not Schema.objects.exists()
    assert not [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


def test_nothing_is_made_or_changed_there(operator):
    assert operator.get("/admin/schemas/schema/add/").status_code == 403
