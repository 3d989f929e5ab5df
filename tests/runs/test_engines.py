import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from runs.checks import check_engines
from runs.engines import forget_engines, get_engine


def test_an_engine_is_made_once(engine):
    assert get_engine("double") is engine


@pytest.mark.parametrize(
    ("engines", "says"),
    [
        ({}, "The engine 'odd' is not configured"),
        ({"odd": {}}, "class of engine 'odd'"),
        ({"odd": {"class": "nowhere.Engine"}}, "class of engine 'odd'"),
        ({"odd": {"class": "tests.runs.doubles.FolderEngine"}}, "options of engine 'odd'"),
    ],
)
def test_an_engine_that_cannot_be_made_says_why(settings, engine, engines, says):
    settings.ENGINES = engines

    with pytest.raises(ImproperlyConfigured, match=says):
        get_engine("odd")


def test_the_system_check_finds_wrong_settings(settings, engine):
    assert check_engines() == []

    settings.ENGINE = "elsewhere"
    settings.ENGINES = {"odd": {"class": "nowhere.Engine"}, "lacking": {"class": "tests.runs.doubles.FolderEngine"}}
    forget_engines()

    assert [message.id for message in check_engines()] == ["runs.E001", "runs.E002", "runs.E002"]


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", "runs", check=True, dry_run=True, skip_checks=True, verbosity=0)
