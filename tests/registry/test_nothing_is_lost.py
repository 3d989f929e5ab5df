"""Uploads that fail in the middle, and callers that come at the same moment."""

import threading
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from rest_framework.test import APIClient

from registry.models import AIEngine, AIModel, GenericFile
from tests.registry.samples import engine_data, form, model, model_files, pointers, version, zip_part


@pytest.fixture
def nearly_full(settings):
    settings.STORAGES = {
        **django_settings.STORAGES,
        "default": {"BACKEND": "tests.registry.storages.NearlyFullStorage"},
    }


def files_below(settings):
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


@pytest.mark.django_db
def test_a_full_disk_leaves_no_model_and_no_file(api, settings, nearly_full):
    ai_engine_version = version()
    before = files_below(settings)
    document = {"ai_engine_version": ai_engine_version.pk, "name": "m"}

    for path in ("/api/ai_models/", "/api/ai_models/update_or_create/"):
        response = api.post(path, form(document, **model_files()), format="multipart")

        assert (response.status_code, response.json()["code"]) == (507, "storage-full")
        assert files_below(settings) == before
    assert not AIModel.objects.exists()


@pytest.mark.django_db
def test_a_full_disk_leaves_no_archive(api, settings, nearly_full):
    response = api.post("/api/generic_files/", form({"name": "g"}, contents=zip_part()), format="multipart")

    assert (response.status_code, GenericFile.objects.exists(), files_below(settings)) == (507, False, [])


@pytest.mark.django_db
def test_a_full_disk_leaves_an_updated_model_as_it_was(api, settings, request):
    row = model()
    before = files_below(settings)
    request.getfixturevalue("nearly_full")

    response = api.patch(
        f"/api/ai_models/{row.pk}/", form({"name": "n"}, contents=zip_part({"other": b"1"})), format="multipart"
    )

    row.refresh_from_db()
    assert (response.status_code, row.name, files_below(settings)) == (507, "m", before)


def at_once(person, send):
    """Return the answers to the same request sent by several threads at the same moment."""
    barrier = threading.Barrier(4)
    answers = []

    def run():
        client = APIClient()
        client.force_authenticate(person)
        barrier.wait(timeout=10)
        answers.append(send(client))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return answers


@pytest.mark.django_db(transaction=True)
def test_identical_posts_at_once_make_one_engine(person):
    answers = at_once(person, lambda client: client.post("/api/ai_engines/", engine_data(), format="json"))

    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]
    assert all(pointers(answer) == ["/data/name"] for answer in answers if answer.status_code == 400)
    assert AIEngine.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_identical_models_at_once_make_one_model_and_one_file(person, settings):
    document = {"ai_engine_version": version().pk, "name": "m"}

    answers = at_once(
        person, lambda client: client.post("/api/ai_models/", form(document, **model_files()), format="multipart")
    )

    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]
    assert AIModel.objects.count() == 1
    assert len([path for path in files_below(settings) if path.suffix == ".zip"]) == 1


@pytest.mark.django_db(transaction=True)
def test_updates_or_creates_at_once_make_one_model_and_one_file(person, settings):
    document = {"ai_engine_version": version().pk, "name": "m"}

    answers = at_once(
        person,
        lambda client: client.post(
            "/api/ai_models/update_or_create/", form(document, **model_files()), format="multipart"
        ),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len([path for path in files_below(settings) if path.suffix == ".zip"]) == 1
