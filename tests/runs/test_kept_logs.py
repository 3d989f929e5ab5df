import errno
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.storage import FileSystemStorage, default_storage

from engines.base import EngineUnavailable, Submission, WorkflowPhase
from engines.recording import RecordingEngine
from runs import endings, engines, kept_logs, outbox
from runs.carrier import Carrier
from runs.endings import PATIENCE, run_wound_up
from runs.kept_logs import log_kept
from runs.models import RunLog, WorkflowRun
from runs.services import run_delete, run_observe
from web.errors import StorageFull

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
NODES = {name: {"id": name, "type": "Pod", "displayName": name, "phase": "Succeeded"} for name in ("a", "b")}


@pytest.fixture
def cluster(owner, settings):
    """An engine that forgets logs, in the place of the one that runs are made for."""
    settings.ENGINES = {"double": {"class": "engines.recording.RecordingEngine", "options": {"keeps_logs": False}}}
    engines.forget_engines()
    return engines.get_engine("double")


@pytest.fixture
def ended(make_run, status_of, cluster):
    """A run whose Workflow has written something and ended."""
    run = make_run(now=NOW)
    cluster.submit(Submission(run.name, run.manifest))
    cluster.write(run.name, "hello", node="a")
    cluster.write(run.name, "bye", node="b")
    cluster.finish(run.name)
    return run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED, nodes=NODES), now=NOW)


def carried(engine, now=NOW):
    for each in outbox.claim(engine="double", limit=9, claimed_by="me", now=now):
        Carrier(engine, "me", lambda: now).carry(each.run_id)


def stored():
    if not default_storage.exists("runs/logs"):
        return []
    return [f"runs/logs/{name}" for name in default_storage.listdir("runs/logs")[1]]


def text_of(answer):
    return b"".join(answer.streaming_content).decode()


def logs_of(api, run, query=""):
    return api.get(f"/api/runs/{run.name}/logs/{query}")


def test_a_log_is_kept_before_the_run_is_released(ended, cluster, engine):
    engine_calls_before = len(cluster.calls)

    carried(cluster)

    kept = RunLog.objects.get(run=ended)
    assert (kept.lines, kept.note, kept.file.name) == (2, "", stored()[0])
    with kept.file.open("rb") as file:
        lines = [json.loads(line) for line in gzip.decompress(file.read()).splitlines()]
    assert [(line["node"], line["container"], line["stream"], line["text"]) for line in lines] == [
        ("a", "main", "stdout", "hello"), ("b", "main", "stdout", "bye"),
    ]  # fmt: skip
    assert WorkflowRun.objects.get(pk=ended.pk).released_at == NOW
    assert cluster.calls[engine_calls_before:] == [("logs", ended.name)]


def test_a_kept_log_outlives_its_pods(api, ended, cluster):
    before = text_of(logs_of(api, ended))
    carried(cluster)
    cluster.delete(ended.name)

    assert text_of(logs_of(api, ended)) == before
    assert " a/main stdout: hello" in before
    assert text_of(logs_of(api, ended, "?node=b&prefix=false")) == "bye\n"
    assert text_of(logs_of(api, ended, "?prefix=false&tail=1&grep=e")) == "bye\n"
    assert text_of(logs_of(api, ended, "?follow=true")) == before
    answer = api.get(f"/api/runs/{ended.name}/logs/", headers={"Accept": "application/x-ndjson"})
    assert json.loads(text_of(answer).splitlines()[0])["at"]


def test_until_it_is_kept_the_engine_is_asked(api, ended):
    assert text_of(logs_of(api, ended, "?prefix=false")) == "hello\nbye\n"


def test_keeping_twice_keeps_once(ended, cluster):
    log_kept(ended, cluster, NOW)
    log_kept(ended, cluster, NOW)

    assert len(stored()) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_that_keep_at_once_one_file_stays(ended, cluster, monkeypatch):
    copy = kept_logs._copy

    def overtaken(*arguments):
        monkeypatch.setattr(kept_logs, "_copy", copy)
        log_kept(ended, cluster, NOW)
        copy(*arguments)

    monkeypatch.setattr(kept_logs, "_copy", overtaken)
    log_kept(ended, cluster, NOW)

    assert stored() == [RunLog.objects.get().file.name]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_deleted_meanwhile_leaves_no_file(ended, cluster, monkeypatch):
    copy = kept_logs._copy

    def overtaken(*arguments):
        copy(*arguments)
        WorkflowRun.objects.filter(pk=ended.pk).delete()

    monkeypatch.setattr(kept_logs, "_copy", overtaken)
    log_kept(ended, cluster, NOW)

    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_a_kept_log_goes_with_its_run(ended, cluster):
    carried(cluster)
    run_delete(owner_kind="test", owner_id=ended.owner_id, now=NOW)

    carried(cluster)

    assert not WorkflowRun.objects.filter(pk=ended.pk).exists()
    assert stored() == []


def test_an_engine_that_keeps_logs_is_not_copied_from(ended):
    log_kept(ended, RecordingEngine("double"), NOW)

    assert not RunLog.objects.exists()


def test_a_run_that_never_reached_the_engine_has_no_log(make_run, cluster):
    run_wound_up(make_run(), cluster, NOW)

    assert cluster.calls == []


def test_a_silent_workflow_has_an_empty_log(api, ended, cluster):
    cluster._state.logs.clear()

    carried(cluster)
    cluster.delete(ended.name)

    assert stored() == []
    assert text_of(logs_of(api, ended)) == ""


def test_a_workflow_that_was_gone_before_is_written_down(api, ended, cluster):
    cluster.delete(ended.name)

    carried(cluster)

    assert WorkflowRun.objects.get(pk=ended.pk).released_at == NOW
    answer = logs_of(api, ended)
    assert answer.status_code == 404
    assert answer.json()["detail"] == "The Workflow was gone before its log could be copied."


def test_an_engine_that_is_away_is_asked_again(ended, cluster):
    cluster.unavailable = True
    carried(cluster)
    assert WorkflowRun.objects.get(pk=ended.pk).released_at is None
    cluster.unavailable = False

    carried(cluster, NOW + timedelta(seconds=1))

    assert RunLog.objects.get(run=ended).lines == 2
    assert WorkflowRun.objects.get(pk=ended.pk).released_at is not None


def test_an_engine_that_stays_away_holds_up_nothing_for_ever(api, ended, cluster):
    cluster.unavailable = True
    carried(cluster)

    carried(cluster, NOW + PATIENCE)

    assert WorkflowRun.objects.get(pk=ended.pk).released_at == NOW + PATIENCE
    assert "the engine does not answer" in logs_of(api, ended).json()["detail"]


def test_a_log_that_breaks_off_is_copied_anew(ended, cluster, monkeypatch):
    lines = cluster.logs

    def breaking(name):
        yield next(iter(lines(name)))
        raise EngineUnavailable("cut")

    monkeypatch.setattr(cluster, "logs", breaking)
    with pytest.raises(EngineUnavailable):
        log_kept(ended, cluster, NOW)
    assert (stored(), RunLog.objects.exists()) == ([], False)
    monkeypatch.undo()

    log_kept(ended, cluster, NOW)

    assert RunLog.objects.get().lines == 2


def test_a_storage_that_is_full_leaves_nothing_behind(ended, cluster, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)

    with pytest.raises(StorageFull):
        run_wound_up(ended, cluster, NOW)
    assert not RunLog.objects.exists()
    run_wound_up(ended, cluster, NOW + endings.PATIENCE)

    assert RunLog.objects.get().note.startswith("The log could not be copied")


def test_one_talkative_container_does_not_keep_out_the_others(api, ended, cluster, monkeypatch):
    monkeypatch.setattr(kept_logs, "MAX_CONTAINER_BYTES", 1000)
    for number in range(50):
        cluster.write(ended.name, f"line {number}", node="a")
    cluster.write(ended.name, "the last", node="b")

    carried(cluster)

    lines = text_of(logs_of(api, ended, "?prefix=false")).splitlines()
    assert lines[-2:] == ["[The log was cut here: 0 MiB are stored.]", "the last"]
    assert len(lines) < 20
    assert RunLog.objects.get().note == "The log is incomplete: some containers wrote more than is stored."


def test_a_log_has_an_end(api, ended, cluster, monkeypatch):
    monkeypatch.setattr(kept_logs, "MAX_BYTES", 1000)
    for number in range(50):
        cluster.write(ended.name, f"line {number}", node="a")

    carried(cluster)

    lines = text_of(logs_of(api, ended, "?node=a&prefix=false")).splitlines()
    assert lines[-1] == "[The log was cut here: 0 MiB are stored.]"
    assert RunLog.objects.get().size_bytes <= 1000
    assert "first" in RunLog.objects.get().note


def test_a_log_that_somebody_took_out_of_the_storage_is_not_found(api, ended, cluster):
    carried(cluster)
    default_storage.delete(stored()[0])

    assert logs_of(api, ended).status_code == 404


def test_the_reason_of_a_failure_is_asked_for_before_the_release(make_run, status_of, cluster):
    run = make_run(now=NOW)
    status = status_of(run, WorkflowPhase.FAILED, message="pod deleted", nodes={})
    run_observe(run_id=run.pk, status=status, now=NOW)
    cluster.explanations[run.name] = "Node n-1 was lost"

    carried(cluster)

    run.refresh_from_db()
    assert (run.message, run.released_at) == ("pod deleted (Node n-1 was lost)", NOW)
