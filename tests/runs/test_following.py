import pytest

from runs import following
from runs.following import FollowedLog
from runs.log_query import LogQuery
from runs.logs import as_text
from runs.services import run_stop
from runs.step_names import StepNames
from web.errors import ServiceUnavailable
from web.turns import Turn
from web.wakeups import run_topic

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def places(monkeypatch):
    """Places of this test's own: who followed in another one may not have been told to close yet."""
    monkeypatch.setattr(following, "_places", following._Places())


def followed(run):
    return FollowedLog(run, LogQuery(), lambda lines: as_text(lines, StepNames(run), prefix=False))


def test_a_queued_run_is_looked_at_again_and_its_topic_wakes_the_reader(make_run):
    run = make_run()
    log = followed(run)

    assert log.topic == run_topic(run.pk)
    assert log.take() == Turn(b"", 2.0)
    run_stop(run_id=run.pk)
    assert log.take() == Turn(b"", None)
    log.close()


def test_places_are_given_back(make_run, settings):
    settings.LOG_FOLLOWERS = 2
    run = make_run()
    first, second = followed(run), followed(run)

    with pytest.raises(ServiceUnavailable, match="followed"):
        followed(run)

    first.close()
    first.close()
    third = followed(run)
    with pytest.raises(ServiceUnavailable):
        followed(run)
    second.close()
    third.close()


def test_those_who_need_a_thread_are_fewer(make_run, settings):
    settings.LOG_FOLLOWERS_BY_THREAD = 1
    run = make_run()
    log = followed(run)

    with pytest.raises(ServiceUnavailable):
        followed(run)
    log.close()
