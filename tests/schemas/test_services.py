"""Storing and deleting Schemas when something goes wrong in the middle."""

import errno

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import IntegrityError, connection, transaction

from schemas import deletion
from schemas.models import Schema
from schemas.posting import CheckedSchema
from schemas.services import schema_create, schema_delete, schema_store
from tests.schemas.samples import MANIFEST, document, part
from web.errors import InvalidInput, NotFound, StorageFull

pytestmark = pytest.mark.django_db


def stored_files(settings):
    return [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


@pytest.fixture
def listeners(monkeypatch):
    called = []
    monkeypatch.setattr(deletion, "_registered", called)
    return called


def dummy(name="training"):
    return schema_create(document=document(name=name, implementation="dummy"), files={})


def test_a_full_disk_leaves_nothing(settings, monkeypatch):
    def full(self, name, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)

    with pytest.raises(StorageFull):
        schema_create(document=document(), files={"auxiliary_file": part()})
    assert not Schema.objects.exists()
    assert not stored_files(settings)


@pytest.mark.django_db(transaction=True)
def test_a_name_taken_since_the_check_leaves_no_file(settings):
    dummy()
    late = CheckedSchema(document(), MANIFEST.encode(), {"kind": "Workflow"})

    with pytest.raises(InvalidInput) as caught:
        schema_store(checked=late)

    assert [fault.pointer for fault in caught.value.faults] == ["/data/name"]
    assert Schema.objects.count() == 1
    assert not stored_files(settings)


def test_a_workflow_without_manifest_cannot_be_stored():
    with pytest.raises(IntegrityError), transaction.atomic():
        Schema.objects.create(
            name="x",
            type="individual",
            implementation="argo_workflows",
            input_elements={},
            ai_elements={},
            output_elements={},
        )


def test_what_is_built_upon_a_schema_is_told_before_it_goes(listeners):
    seen = []
    deletion.register(lambda schema: seen.append((schema.name, Schema.objects.count(), connection.in_atomic_block)))
    dummy()

    schema_delete(name="training")

    assert seen == [("training", 1, True)]
    assert not Schema.objects.exists()


def test_a_listener_that_fails_keeps_the_schema(listeners):
    def fail(schema):
        raise RuntimeError

    deletion.register(fail)
    dummy()

    with pytest.raises(RuntimeError):
        schema_delete(name="training")
    assert Schema.objects.exists()


def test_registering_twice_is_registering_once(listeners):
    def listen(schema):
        """Do nothing."""

    deletion.register(listen)
    deletion.register(listen)

    assert listeners == [listen]


def test_deleting_what_is_not_there_says_so():
    with pytest.raises(NotFound):
        schema_delete(name="nothing")
