"""The controller as a whole: as threads in this process, and as processes that are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection, connections

from engines.base import WorkflowPhase
from runs.controller import Controller
from runs.models import Node, RunLog, WorkflowRun
from runs.services import run_delete, run_stop

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
# How long a test waits for something that should happen at once, before it fails.
PATIENCE_SECONDS = 30


def wait_for(what, *, message="It did not happen in time."):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.005)
    raise AssertionError(message)


def phase_of(run):
    return WorkflowRun.objects.values_list("phase", flat=True).get(pk=run.pk)


@pytest.fixture
def start_thread(engine):
    """Return a function that starts a controller in this process."""
    started = []

    def start(**given) -> Controller:
        controller = Controller([engine], **given)
        thread = threading.Thread(target=controller.run)
        thread.start()
        started.append((controller, thread))
        return controller

    yield start
    engine.closed = True
    for controller, thread in started:
        controller.stop()
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


@pytest.fixture
def start_process(engine):
    """Return a function that starts a controller as a process, and waits until it works."""
    started = []
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    environment = {
        **os.environ,
        "DATA_DIR": str(django_settings.DATA_DIR),
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.runs.process_settings",
        "DOUBLE_ROOT": str(engine.root),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        "SECRET_KEY": django_settings.SECRET_KEY,
    }
    command = [sys.executable, "-m", "tests.runs.controller_process"]

    def start() -> subprocess.Popen:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "starting\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()


@pytest.fixture(autouse=True)
def no_connections_left():
    yield
    connections.close_all()


def test_a_run_goes_all_the_way_without_waiting_for_a_sweep(start_thread, make_run, engine):
    # Nothing but wake-ups and the watch can be in time: sweeps come after the test's patience.
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)

    run = make_run()
    wait_for(lambda: phase_of(run) == "submitted")
    engine.set_phase(run.name, WorkflowPhase.RUNNING)
    wait_for(lambda: phase_of(run) == "running")
    engine.set_phase(run.name, WorkflowPhase.SUCCEEDED)
    wait_for(lambda: phase_of(run) == "succeeded")
    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())
    run_delete(owner_kind="test", owner_id=run.owner_id)
    wait_for(lambda: not WorkflowRun.objects.filter(pk=run.pk).exists())


def test_a_run_is_stopped(start_thread, make_run, engine):
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)
    run = make_run()
    wait_for(lambda: phase_of(run) == "submitted")

    run_stop(run_id=run.pk)

    wait_for(lambda: phase_of(run) == "stopped")


def test_a_deadline_needs_no_sweep(start_thread, make_run, engine):
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)

    run = make_run(deadline_seconds=0.1)

    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())
    assert phase_of(run) == "failed"
    assert engine.get(run.name).phase is WorkflowPhase.FAILED


def test_a_workflow_that_disappears_makes_its_run_lost(start_thread, make_run, engine):
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)
    run = make_run()
    wait_for(lambda: phase_of(run) == "submitted")
    engine.set_phase(run.name, WorkflowPhase.RUNNING)
    wait_for(lambda: phase_of(run) == "running")

    engine.vanish(run.name)

    wait_for(lambda: phase_of(run) == "lost")


def test_a_wake_up_that_got_lost_is_made_good_by_the_sweep(start_thread, make_run, monkeypatch):
    start_thread(sweep_seconds=0.05)
    monkeypatch.setattr("web.wakeups.notify", lambda topic="": None)

    run = make_run()

    wait_for(lambda: phase_of(run) == "submitted")


def test_an_engine_that_comes_back_gets_what_waited(start_thread, make_run, engine):
    engine.say("down")
    start_thread()
    run = make_run()
    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, tries__gt=0).exists())

    engine.unsay("down")

    wait_for(lambda: phase_of(run) == "submitted")


def test_two_controllers_carry_each_wish_once(start_thread, make_run, engine):
    engine.say("on-submit", WorkflowPhase.SUCCEEDED)
    start_thread()
    start_thread()

    runs = [make_run() for _ in range(30)]

    wait_for(lambda: WorkflowRun.objects.filter(released_at__isnull=False).count() == 30)
    counts = Counter(engine.calls)
    for run in runs:
        told = {what: counts[f"{what} {run.name}"] for what in ("prepare", "submit", "phase:succeeded", "release")}
        assert told == {"prepare": 1, "submit": 1, "phase:succeeded": 1, "release": 1}


def test_two_processes_share_the_work_and_end_when_told(start_process, make_run, engine):
    engine.say("on-submit", WorkflowPhase.SUCCEEDED)
    processes = [start_process(), start_process()]

    for _ in range(10):
        make_run()

    wait_for(lambda: WorkflowRun.objects.filter(released_at__isnull=False).count() == 10)
    assert Counter(call.split()[0] for call in engine.calls)["submit"] == 10
    for process, number in zip(processes, (signal.SIGTERM, signal.SIGINT), strict=True):
        process.send_signal(number)
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
    assert [process.stdout.read() for process in processes] == ["ended\n", "ended\n"]


def test_a_controller_that_is_told_to_end_waits_for_no_engine(start_process, make_run, engine):
    engine.say("hang")
    run = make_run()
    process = start_process()
    wait_for(lambda: f"submit {run.name}" in engine.calls)

    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert WorkflowRun.objects.filter(pk=run.pk, claimed_by="").exists()

    engine.unsay("hang")
    start_process()
    wait_for(lambda: phase_of(run) == "submitted")


@pytest.mark.parametrize("step", ["prepare.before", "prepare.after", "submit.before", "submit.after"])
def test_a_controller_killed_while_it_submits_loses_and_doubles_nothing(start_process, make_run, engine, step):
    engine.say("kill-at", step)
    run = make_run()
    assert start_process().wait(PATIENCE_SECONDS) == -signal.SIGKILL

    start_process()
    wait_for(lambda: phase_of(run) == "submitted")
    engine.set_phase(run.name, WorkflowPhase.SUCCEEDED)
    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())

    counts = Counter(engine.calls)
    assert phase_of(run) == "succeeded"
    assert counts[f"created {run.name}"] == 1
    assert counts[f"phase:succeeded {run.name}"] == 1


@pytest.mark.parametrize("step", ["release.before", "release.after"])
def test_a_controller_killed_while_it_releases_does_it_again(start_process, make_run, engine, step):
    engine.say("on-submit", WorkflowPhase.SUCCEEDED)
    engine.say("kill-at", step)
    run = make_run()
    assert start_process().wait(PATIENCE_SECONDS) == -signal.SIGKILL

    start_process()

    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())
    assert phase_of(run) == "succeeded"


def test_a_controller_killed_while_it_keeps_a_log_leaves_one_file(start_process, make_run, engine, settings):
    engine.say("on-submit", WorkflowPhase.SUCCEEDED)
    engine.say("forgets")
    engine.say("kill-at", "stored")
    run = make_run()
    assert start_process().wait(PATIENCE_SECONDS) == -signal.SIGKILL
    [orphan] = Path(settings.MEDIA_ROOT, "runs/logs").iterdir()

    start_process()
    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())

    kept = RunLog.objects.get(run=run)
    assert [path.name for path in Path(settings.MEDIA_ROOT, "runs/logs").iterdir()] == [Path(kept.file.name).name]
    assert not orphan.exists()
    assert kept.lines == 2


def test_the_nodes_of_each_engine_are_known_from_the_start(start_thread, engine):
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)

    wait_for(lambda: Node.objects.filter(engine="double", name="central", ready=True).exists())


def test_a_run_that_waits_is_explained(start_thread, make_run, engine, monkeypatch):
    monkeypatch.setattr("runs.explanations.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("runs.explanations.FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(engine, "explain", lambda name: f"{name} has to wait")
    start_thread(sweep_seconds=1000, reconcile_seconds=1000)

    run = make_run()

    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, message=f"{run.name} has to wait.").exists())


@pytest.mark.parametrize("step", ["stop.before", "stop.after"])
def test_a_controller_killed_while_it_stops_stops_all_the_same(start_process, make_run, engine, step):
    run = make_run()
    process = start_process()
    wait_for(lambda: phase_of(run) == "submitted")
    engine.say("kill-at", step)
    run_stop(run_id=run.pk)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL

    start_process()

    wait_for(lambda: phase_of(run) == "stopped")


@pytest.mark.parametrize("step", ["delete.before", "delete.after"])
def test_a_controller_killed_while_it_deletes_deletes_all_the_same(start_process, make_run, engine, step):
    run = make_run()
    process = start_process()
    wait_for(lambda: phase_of(run) == "submitted")
    engine.say("kill-at", step)
    run_delete(owner_kind="test", owner_id=run.owner_id)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL

    start_process()

    wait_for(lambda: not WorkflowRun.objects.filter(pk=run.pk).exists())
    assert not list(engine.list())


@pytest.mark.parametrize("phase", ["submitted", "succeeded"])
def test_a_controller_killed_while_it_writes_a_phase_writes_it_again(start_process, make_run, engine, phase):
    run = make_run()
    engine.say("kill-at", f"phase:{phase}")
    process = start_process()
    if phase == "succeeded":
        wait_for(lambda: phase_of(run) == "submitted")
        engine.set_phase(run.name, WorkflowPhase.SUCCEEDED)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    if phase == "submitted":
        engine.set_phase(run.name, WorkflowPhase.SUCCEEDED)

    start_process()
    wait_for(lambda: WorkflowRun.objects.filter(pk=run.pk, released_at__isnull=False).exists())

    counts = Counter(engine.calls)
    assert counts[f"created {run.name}"] == counts[f"phase:succeeded {run.name}"] == 1


def test_a_run_whose_owner_fails_does_not_hold_up_the_others(start_thread, make_run, owner, monkeypatch):
    bad, good = make_run(deadline_seconds=0), make_run(deadline_seconds=0.2)
    told = owner.phase_changed

    def tell(run):
        if run.pk == bad.pk:
            raise RuntimeError("no")
        told(run)

    monkeypatch.setattr(owner, "phase_changed", tell)
    start_thread()

    wait_for(lambda: phase_of(good) == "failed")
    assert phase_of(bad) == "queued"
    monkeypatch.setattr(owner, "phase_changed", told)
    wait_for(lambda: phase_of(bad) == "failed")


def test_what_happened_while_no_controller_ran_is_caught_up(start_process, make_run, engine):
    ended, gone = make_run(), make_run()
    process = start_process()
    wait_for(lambda: {phase_of(ended), phase_of(gone)} == {"submitted"})
    process.kill()
    process.wait(PATIENCE_SECONDS)

    engine.set_phase(ended.name, WorkflowPhase.SUCCEEDED)
    start_process()

    wait_for(lambda: phase_of(ended) == "succeeded")
    assert phase_of(gone) == "submitted"


def test_a_controller_shows_that_it_gets_on(start_thread):
    controller = start_thread(sweep_seconds=0.05)
    file = Path(django_settings.DATA_DIR) / "controllers" / controller._identity.name
    os.utime(file, (0, 0))

    wait_for(lambda: file.stat().st_mtime > 0)
