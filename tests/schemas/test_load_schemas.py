"""`manage.py load_schemas`."""

from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from schemas.models import Schema
from templates.shipped import shipped_schemas

pytestmark = pytest.mark.django_db
NAMES = {schema.name for schema in shipped_schemas()}
NAME = "training-from-scratch"


def load(capsys, *arguments):
    call_command("load_schemas", *arguments)
    return dict(line.split() for line in capsys.readouterr().out.splitlines())


def test_it_stores_every_shipped_schema_once(capsys):
    assert load(capsys) == dict.fromkeys(NAMES, "created")
    assert load(capsys) == dict.fromkeys(NAMES, "unchanged")
    assert set(Schema.objects.values_list("name", flat=True)) == NAMES
    assert all(schema.manifest["kind"] == "Workflow" for schema in Schema.objects.all())


def test_it_brings_up_to_date_what_differs_and_keeps_its_identity(capsys):
    load(capsys)
    before = Schema.objects.get(name=NAME)
    Schema.objects.filter(name=NAME).update(description="of yesterday", manifest={})

    assert load(capsys) == dict.fromkeys(NAMES, "unchanged") | {NAME: "updated"}
    after = Schema.objects.get(name=NAME)
    assert (after.pk, after.created_at) == (before.pk, before.created_at)
    assert (after.description, after.manifest) == (before.description, before.manifest)


def test_it_replaces_a_file_that_the_storage_lost(capsys, settings):
    load(capsys)
    schema = Schema.objects.get(name=NAME)
    schema.auxiliary_file.storage.delete(schema.auxiliary_file.name)

    assert load(capsys)[NAME] == "updated"


def test_check_changes_nothing_and_fails_when_something_would_change(capsys):
    with pytest.raises(CommandError, match=f"{len(NAMES)} of {len(NAMES)}"):
        call_command("load_schemas", "--check")
    assert not Schema.objects.exists()
    load(capsys)

    assert load(capsys, "--check") == dict.fromkeys(NAMES, "unchanged")


def test_an_installation_whose_policy_refuses_them_stores_none(settings, capsys):
    settings.MANIFEST_SERVICE_ACCOUNTS = []

    with pytest.raises(CommandError, match="no Schema was changed"):
        call_command("load_schemas")
    assert not Schema.objects.exists()
    assert "service-accounts" in capsys.readouterr().err


def test_what_was_shipped_before_there_were_versions_is_known_as_such():
    rows = {"implementation": "dummy", "input_elements": {}, "ai_elements": {}, "output_elements": {}}
    for name in (NAME, "ours"):
        Schema.objects.create(name=name, type="individual", **rows)

    import_module("schemas.migrations.0003_mark_shipped").mark_shipped(apps, None)

    assert dict(Schema.objects.values_list("name", "is_shipped")) == {NAME: True, "ours": False}
