import threading

import pytest
from django.utils import timezone

from engines.base import EngineUnavailable, WorkflowEvent, WorkflowPhase, WorkflowStatus
from runs.models import WorkflowRun
from runs.reconcile import Reconciler
from runs.watching import Inbox, News, Observer, Watcher, holding_seconds


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def news(name="a", phase=WorkflowPhase.RUNNING, nodes=0, version="", deleted=False):
    status = WorkflowStatus(name, phase, nodes={str(n): {} for n in range(nodes)}, version=version)
    return News("double", status, deleted)


def test_the_first_news_and_a_new_phase_are_due_at_once():
    inbox = Inbox(Clock())

    inbox.put(news())
    assert len(inbox.take(0)) == 1
    inbox.put(news(phase=WorkflowPhase.SUCCEEDED))
    assert len(inbox.take(0)) == 1


def test_news_of_nodes_are_held_back_and_only_the_last_counts():
    clock = Clock()
    inbox = Inbox(clock)
    inbox.put(news())
    inbox.take(0)

    for version in "123":
        inbox.put(news(nodes=1000, version=version))
    assert inbox.take(0) == []
    clock.now += holding_seconds(1000)

    assert [n.status.version for n in inbox.take(0)] == ["3"]
    assert inbox.take(0) == []


def test_news_that_could_not_be_written_come_again_later_unless_there_are_newer_ones():
    clock = Clock()
    inbox = Inbox(clock)
    inbox.put(news(version="1"))
    [taken] = inbox.take(0)

    inbox.put_back(taken)
    assert inbox.take(0) == []
    clock.now += 1
    [again] = inbox.take(0)
    assert (again.status.version, again.failures) == ("1", 1)

    inbox.put(news(version="2"))
    inbox.put_back(again)
    assert [n.status.version for n in inbox.take(0)] == ["2"]


def test_a_closed_inbox_gives_out_what_is_left_and_then_nothing():
    inbox = Inbox(Clock())
    inbox.put(news())
    inbox.take(0)
    inbox.put(news(nodes=5))

    inbox.close()

    assert len(inbox.take()) == 1
    assert inbox.take() == []


def test_a_take_that_waits_is_woken():
    inbox = Inbox()
    threading.Timer(0.01, lambda: inbox.put(news())).start()

    assert len(inbox.take(10)) == 1


class Script:
    """An engine that says what it is told to, and ends the test's watcher when there is nothing left."""

    alias = "double"

    def __init__(self, stopping, *parts):
        self.parts = list(parts)
        self.asked = []
        self.stopping = stopping

    def watch(self, since, timeout_seconds):
        self.asked.append(since)
        part = self.parts.pop(0)
        if not self.parts:
            self.stopping.set()
        for event in part:
            if isinstance(event, Exception):
                raise event
            yield event


def event(cursor):
    return WorkflowEvent(WorkflowStatus(f"w{cursor}", WorkflowPhase.RUNNING), cursor=cursor)


@pytest.mark.parametrize(("error", "next_cursor"), [(EngineUnavailable("away"), "3"), (RuntimeError("odd"), "")])
def test_a_watch_goes_on_where_it_was_and_begins_anew_after_a_fault(error, next_cursor, monkeypatch):
    monkeypatch.setattr("runs.watching.backoff_seconds", lambda failures: 0)
    stopping = threading.Event()
    engine = Script(stopping, [event("1"), event("2")], [event("3"), error], [event("4")])
    inbox = Inbox()

    Watcher(engine, inbox, stopping).run()

    assert engine.asked == ["", "2", next_cursor]
    assert {n.status.name for n in inbox.take(0)} == {"w1", "w2", "w3", "w4"}


def test_pauses_grow_only_while_nothing_is_told(monkeypatch):
    pauses, error = [], EngineUnavailable("away")
    stopping = threading.Event()
    engine = Script(stopping, [error], [error], [event("1"), error], [error], *[[error]] * 9, [])
    monkeypatch.setattr("runs.watching.backoff_seconds", float)
    monkeypatch.setattr(stopping, "wait", pauses.append)

    Watcher(engine, Inbox(), stopping).run()

    assert pauses == [1, 2, 1, 2, 3, 4, *[5] * 7]


@pytest.mark.django_db
def test_news_are_written_into_the_row(make_run, status_of):
    run = make_run()

    Observer(Inbox(), lambda *_: None).write(News("double", status_of(run)))

    assert WorkflowRun.objects.get(pk=run.pk).phase == "running"


@pytest.mark.django_db
def test_known_news_take_no_lock(make_run, status_of, django_assert_num_queries):
    run = make_run()
    observer = Observer(Inbox(), lambda *_: None)
    status = status_of(run)
    observer.write(News("double", status))

    with django_assert_num_queries(1):
        observer.write(News("double", status))


@pytest.mark.django_db
def test_a_deleted_workflow_and_one_without_a_row_are_suspect(make_run, status_of):
    run = make_run()
    suspects = []
    observer = Observer(Inbox(), lambda alias, name: suspects.append(name))

    observer.write(News("double", status_of(run)))
    observer.write(News("double", status_of(run), deleted=True))
    observer.write(news("stranger"))

    assert suspects == [run.name, "stranger"]


@pytest.mark.django_db
def test_a_workflow_that_was_tidied_away_after_its_success_has_succeeded(make_run, status_of, engine):
    # The end itself was missed: what was deleted tells it.
    run = make_run()
    reconciler = Reconciler(engine, timezone.now)
    observer = Observer(Inbox(), lambda _alias, name: reconciler.look_at(name))
    observer.write(News("double", status_of(run)))

    observer.write(News("double", status_of(run, WorkflowPhase.SUCCEEDED), deleted=True))

    run.refresh_from_db()
    assert (run.phase, run.reason, run.message) == ("succeeded", "", "")
