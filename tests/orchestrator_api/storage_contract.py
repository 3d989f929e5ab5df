"""What every storage must do for the API: tests that each kind of it runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from federated.services import channel_close, channel_open
from orchestrator_api.clearing import stored_files_clear
from registry.models import AIModel, GenericFile
from tests.federated.conftest import client_of, make_spec
from tests.federated.requests import Topic, content_digest, stored_names
from tests.registry.samples import form, generic_file, json_part, version, zip_bytes, zip_part
from web.storage import save, stored_files

FOLDERS = ("registry/ai_models", "registry/ai_model_user_vars", "registry/generic_files")


CONTENTS = zip_bytes()
# Long enough to go into an object store in several parts.
LARGE = os.urandom(10_000_000)


def post_model(api: APIClient, version_id: int) -> Any:
    """Upload a model; a second one of the same version is refused."""
    data = {"ai_engine_version": version_id, "name": "m", "data_partners_patients": {"p1": ["1"]}}
    files = {"contents": SimpleUploadedFile("contents", CONTENTS), "ai_engine_version_user_vars": json_part()}
    return api.post("/api/ai_models/", form(data, **files), format="multipart")


def stored() -> list[str]:
    """Return the names of all files that the registry's rows could have."""
    names: list[str] = []
    for folder in FOLDERS:
        try:
            names += default_storage.listdir(folder)[1]
        except FileNotFoundError:
            continue
    return names


@pytest.mark.django_db(transaction=True)
class StorageContract:
    """Subclasses give the fixture `storage`, which makes the default storage one of their kind."""

    @pytest.fixture
    def storage(self) -> Iterator[None]:
        raise NotImplementedError

    @pytest.fixture
    def model(self, storage: None, api: APIClient) -> AIModel:
        answer = post_model(api, version().pk)
        assert answer.status_code == 201, answer.content
        return AIModel.objects.get()

    def ask(self, api: APIClient, model: AIModel, method: str = "get", **headers: str) -> tuple[Any, bytes]:
        answer = getattr(api, method)(f"/api/ai_models/{model.pk}/download_contents/", headers=headers)
        with closing(answer):
            return answer, answer.getvalue()

    def test_what_was_uploaded_comes_back_byte_for_byte(self, api, model):
        answer, body = self.ask(api, model)

        assert (answer.status_code, body) == (200, CONTENTS)
        assert answer["Content-Length"] == str(len(CONTENTS))

    def test_a_small_file_too(self, api, model):
        with closing(api.get(f"/api/ai_models/{model.pk}/download_ai_engine_version_user_vars/")) as answer:
            assert answer.getvalue() == b'{"epochs": 3}'

    def test_head_answers_the_length_alone(self, api, model):
        answer, body = self.ask(api, model, "head")

        assert (answer["Content-Length"], body) == (str(len(CONTENTS)), b"")

    @pytest.mark.parametrize("part", [slice(100, 200), slice(5, None), slice(-7, None)])
    def test_a_range_is_a_part(self, api, model, part):
        asked = f"{part.start}-{part.stop - 1 if part.stop else ''}" if part.start >= 0 else str(part.start)

        answer, body = self.ask(api, model, range=f"bytes={asked}")

        assert (answer.status_code, body) == (206, CONTENTS[part])

    def test_a_range_beyond_the_end_is_refused(self, api, model):
        assert self.ask(api, model, range=f"bytes={len(CONTENTS)}-")[0].status_code == 416

    def test_the_members_of_an_archive_are_listed_and_read(self, storage, api):
        address = f"/api/generic_files/{generic_file(files={'a.txt': b'0123456789'}).pk}/"

        listed = api.get(f"{address}listed_contents/")
        with closing(
            api.get(f"{address}individual_contents_download/?file_path=a.txt", headers={"range": "bytes=2-3"})
        ) as a:
            member = a.getvalue()

        assert (listed.json(), member) == ({"listed_contents": ["a.txt"]}, b"23")

    def test_clearing_leaves_no_file(self, model):
        assert stored()

        stored_files_clear()

        assert stored() == []

    def test_what_is_refused_leaves_no_file(self, api, model):
        before = stored()

        assert post_model(api, model.ai_engine_version_id).status_code == 400

        assert sorted(stored()) == sorted(before)

    def test_a_rollback_takes_the_files(self, storage):
        with pytest.raises(ValueError, match="no"), stored_files():
            save(GenericFile(name="x").contents, "x.zip", zip_part())
            assert len(stored()) == 1
            raise ValueError("no")

        assert stored() == []

    def test_deleting_takes_the_files(self, api, model):
        assert len(stored()) == 2

        assert api.delete(f"/api/ai_models/{model.pk}/").status_code == 204

        assert stored() == []

    def test_a_file_that_the_storage_lost_is_not_found(self, api, model):
        default_storage.delete(model.contents.name)

        assert self.ask(api, model)[0].status_code == 404

    def test_a_channels_model_comes_back_in_parts_and_goes_with_the_channel(self, storage):
        spec, workflow = make_spec(limit=len(LARGE)), client_of()
        channel_open(spec)
        topic = Topic(workflow, spec.id, "models_to_manager")

        assert topic.post(LARGE, Content_Digest=content_digest(LARGE)).status_code == 201
        with closing(topic.content(0)) as whole, closing(topic.content(0, Range="bytes=9000000-")) as part:
            assert (whole.getvalue(), part.getvalue()) == (LARGE, LARGE[9_000_000:])
        channel_close(spec.id)

        assert stored_names() == []

    @pytest.mark.parametrize("length", [100, len(LARGE)])
    def test_a_message_with_another_digest_leaves_no_file(self, storage, length):
        spec = make_spec(limit=len(LARGE))
        channel_open(spec)
        topic = Topic(client_of(), spec.id, "models_to_manager")

        assert topic.post(LARGE[:length], Content_Digest=content_digest(b"other")).status_code == 400

        assert stored_names() == []
