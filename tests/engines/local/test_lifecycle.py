"""From submit to the end and after: crashes, restarts, places shared between Workflows, what is left on disk."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engines.base import ManifestRejected, Submission, WorkflowNotFound, WorkflowPhase
from engines.local import LocalEngine, layout, liveness, nursery
from tests.engines.local.harness import PATIENCE_SECONDS, run, shell, text, wait, workflow

MakeEngine = Callable[..., LocalEngine]


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def sleeper(seconds: float = 60, **spec: Any) -> dict[str, Any]:
    return workflow({"name": "main", "container": shell(f"echo on; sleep {seconds}")}, **spec)


def phase_of_pod(engine: LocalEngine, name: str) -> str:
    nodes = engine.get(name).nodes
    return nodes[name]["phase"] if nodes else ""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeEngine]:
    made: list[LocalEngine] = []

    def make_one(**options: Any) -> LocalEngine:
        made.append(LocalEngine("local", {"root": tmp_path / "engine", "grace_seconds": 1, **options}))
        return made[-1]

    yield make_one
    for status in list(made[0].list()):
        made[0].delete(status.name)


def pid_of(engine: LocalEngine, name: str) -> int:
    return int((engine.folder.path(name) / layout.LOCK).read_text().split()[-1])


def programs() -> list[str]:
    """Return the command lines of all processes of this machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return found


def test_a_killed_supervisor_ends_its_workflow_and_its_pods(make: MakeEngine) -> None:
    engine = make()
    seconds = 60 + os.getpid() / 1e7
    engine.submit(Submission("killed", sleeper(seconds)))
    until(lambda: any(f"sleep\0{seconds}" in program for program in programs()))

    os.kill(pid_of(engine, "killed"), signal.SIGKILL)

    status = wait(engine, "killed")
    assert status.phase == WorkflowPhase.ERROR
    assert "was killed, or the machine restarted" in status.message
    assert status.nodes["killed"]["phase"] == "Error"
    until(lambda: not any(f"{seconds}" in program for program in programs()))
    assert make().get("killed").version == status.version


def test_a_submit_that_was_cut_off_is_finished_by_the_next(make: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_start", lambda name: None)
        engine.submit(Submission("cut-off", sleeper(0)))
    assert engine.get("cut-off").phase == WorkflowPhase.PENDING

    make().submit(Submission("cut-off", sleeper(0)))

    assert wait(engine, "cut-off").phase == WorkflowPhase.SUCCEEDED


def test_many_submits_of_one_workflow_start_it_once(make: MakeEngine) -> None:
    engines = [make() for _ in range(6)]
    with ThreadPoolExecutor(len(engines)) as pool:
        uids = {status.uid for status in pool.map(lambda one: one.submit(Submission("once", sleeper(0))), engines)}

    wait(engines[0], "once")

    assert len(uids) == 1
    assert text(engines[0], "once") == "on"
    assert len((engines[0].folder.path("once") / layout.LOCK).read_text().split()) == 1


def test_a_cold_start_needs_no_nursery(make: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    monkeypatch.setattr(engine.nursery, "keep", lambda: None)

    assert run(engine, "cold", sleeper(0)).phase == WorkflowPhase.SUCCEEDED


def test_a_nursery_forks_supervisors_and_goes_with_its_folder(make: MakeEngine) -> None:
    engine = make()
    assert list(engine.list()) == []
    engine.nursery.keep()
    listening = functools.partial(nursery.is_there, str(engine.settings.root), engine.nursery.name)
    until(listening)

    assert run(engine, "forked", sleeper(0)).phase == WorkflowPhase.SUCCEEDED
    (engine.settings.root / engine.nursery.name).unlink()

    own = f"{engine.settings.root}\0{engine.nursery.name}"
    until(lambda: not any(own in program for program in programs()))


def test_a_workflow_stopped_before_its_start_ends(make: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()
    monkeypatch.setattr(engine, "_start", lambda name: None)
    engine.submit(Submission("early", sleeper()))

    engine.stop("early")

    status = engine.get("early")
    assert (status.phase, status.message) == (WorkflowPhase.FAILED, "Stopped with strategy 'Stop'")


def test_secrets_are_for_the_owner_only_and_go_at_the_end(make: MakeEngine) -> None:
    engine = make()
    volume = {"name": "s", "secret": {"secretName": "callback"}}
    container = shell("cat /s/token; sleep 0.5", volumeMounts=[{"name": "s", "mountPath": "/s"}])
    manifest = workflow({"name": "main", "volumes": [volume], "container": container})
    engine.submit(Submission("secret", manifest, secrets={"callback": {"token": "t0p-secret"}}))
    path = engine.folder.path("secret")
    modes = [stat.S_IMODE(file.stat().st_mode) for file in path.glob(layout.SECRETS)]
    assert modes in ([0o600], [])

    wait(engine, "secret")
    # It is tidied up after its end is told.
    until(lambda: not (path / layout.SANDBOXES).exists())

    assert text(engine, "secret") == "t0p-secret"
    kept = [file for file in path.rglob("*") if file.is_file() and "t0p-secret" in file.read_text(errors="replace")]
    assert [file.parent.name for file in kept] == [layout.LOGS]


def test_deleting_removes_everything(make: MakeEngine) -> None:
    engine = make()
    engine.submit(Submission("removed", sleeper()))
    until(lambda: phase_of_pod(engine, "removed") == "Running")

    engine.delete("removed")

    assert not engine.folder.path("removed").exists()
    with pytest.raises(WorkflowNotFound):
        engine.logs("removed")


def test_a_supervisor_leaves_when_its_workflow_has_ended(make: MakeEngine) -> None:
    engine = make()
    run(engine, "leaves", sleeper(0))

    assert until(lambda: not liveness.is_alive(engine.folder.path("leaves")))


def test_its_ttl_removes_a_workflow(make: MakeEngine) -> None:
    engine = make()
    engine.submit(Submission("ttl", sleeper(0, ttlStrategy={"secondsAfterSuccess": 1, "secondsAfterFailure": 600})))

    events = []
    for event in engine.watch(timeout_seconds=PATIENCE_SECONDS):
        events.append((event.status.phase, event.deleted))
        if event.deleted:
            break

    assert events[-2:] == [(WorkflowPhase.SUCCEEDED, False), (WorkflowPhase.SUCCEEDED, True)]


def test_logs_outlive_the_ttl_of_their_workflow(make: MakeEngine) -> None:
    engine = make()
    spoken = workflow(
        {"name": "main", "container": shell("echo early; sleep 0.3; echo late")}, ttlStrategy={"secondsAfterSuccess": 0}
    )
    engine.submit(Submission("ttl-logs", spoken))
    followed = [line.text for line in engine.logs("ttl-logs", follow=True)]
    assert until(lambda: "ttl-logs" not in [status.name for status in engine.list()])

    assert followed == [line.text for line in engine.logs("ttl-logs")] == ["early", "late"]
    assert [line.text for line in engine.tail("ttl-logs") if line] == ["early", "late"]
    engine.delete("ttl-logs")
    with pytest.raises(WorkflowNotFound):
        engine.logs("ttl-logs")


def test_places_are_shared_between_workflows(make: MakeEngine) -> None:
    engine = make(max_pods=1)
    engine.submit(Submission("first", sleeper()))
    until(lambda: phase_of_pod(engine, "first") == "Running")
    engine.submit(Submission("second", sleeper(0)))
    until(lambda: phase_of_pod(engine, "second") == "Pending")

    engine.delete("first")

    assert wait(engine, "second").phase == WorkflowPhase.SUCCEEDED


def test_a_place_comes_back_from_a_killed_supervisor(make: MakeEngine) -> None:
    engine = make(max_pods=1)
    engine.submit(Submission("holder", sleeper()))
    until(lambda: phase_of_pod(engine, "holder") == "Running")
    engine.submit(Submission("waiter", sleeper(0)))
    until(lambda: phase_of_pod(engine, "waiter") == "Pending")

    os.kill(pid_of(engine, "holder"), signal.SIGKILL)

    assert wait(engine, "waiter").phase == WorkflowPhase.SUCCEEDED


def test_many_workflows_take_turns(make: MakeEngine) -> None:
    engine = make(max_pods=2)
    names = [f"turn-{number}" for number in range(6)]
    steps = [[{"name": "s", "template": "t", "withSequence": {"count": "5"}}]]
    manifest = workflow({"name": "main", "steps": steps}, {"name": "t", "container": shell("true")})
    for name in names:
        engine.submit(Submission(name, manifest))

    assert {wait(engine, name).phase for name in names} == {WorkflowPhase.SUCCEEDED}


def test_a_mutex_keeps_workflows_apart(make: MakeEngine) -> None:
    engine = make()
    mutex = {"synchronization": {"mutexes": [{"name": "one"}]}}
    engine.submit(Submission("inside", sleeper(**mutex)))
    until(lambda: phase_of_pod(engine, "inside") == "Running")
    engine.submit(Submission("outside", sleeper(0, **mutex)))
    message = until(lambda: engine.get("outside").message)
    assert message == "Waiting for default/Mutex/one lock. Lock status: 0/1"

    engine.delete("inside")

    assert wait(engine, "outside").phase == WorkflowPhase.SUCCEEDED


def test_a_templates_mutex_lets_one_pod_in_at_a_time(make: MakeEngine, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    engine = make(hostpath_allow=[str(shared)], hostpath_writable=[str(shared)])
    template = {
        "name": "t",
        "synchronization": {"mutexes": [{"name": "door"}]},
        "volumes": [{"name": "s", "hostPath": {"path": str(shared)}}],
        "container": shell(
            "mkdir /s/inside && sleep 0.05 && rmdir /s/inside", volumeMounts=[{"name": "s", "mountPath": "/s"}]
        ),
    }
    steps = [[{"name": "s", "template": "t", "withSequence": {"count": "6"}}]]

    status = run(engine, "door", workflow({"name": "main", "steps": steps}, template))

    assert status.phase == WorkflowPhase.SUCCEEDED, status.message


def test_parallelism_limits_a_workflow(make: MakeEngine, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    engine = make(hostpath_allow=[str(shared)], hostpath_writable=[str(shared)])
    template = {
        "name": "t",
        "volumes": [{"name": "s", "hostPath": {"path": str(shared)}}],
        "container": shell(
            "mkdir /s/inside && sleep 0.05 && rmdir /s/inside", volumeMounts=[{"name": "s", "mountPath": "/s"}]
        ),
    }
    steps = [[{"name": "s", "template": "t", "withSequence": {"count": "5"}}]]

    status = run(engine, "narrow", workflow({"name": "main", "steps": steps}, template, parallelism=1))

    assert status.phase == WorkflowPhase.SUCCEEDED, status.message


def test_names_that_are_no_names_are_refused(make: MakeEngine) -> None:
    engine = make()
    for name in ("../up", "a/b", "", "Upper", "a" * 300):
        with pytest.raises(ManifestRejected) as refusal:
            engine.submit(Submission(name, sleeper()))
        assert refusal.value.pointer == "/metadata/name"
        with pytest.raises(WorkflowNotFound):
            engine.get(name)
        engine.delete(name)


def test_options_that_are_wrong_are_told(make: MakeEngine) -> None:
    engine = make(hostpath_allow=["/no/such/directory"], colour="red")

    problems = engine.check()

    assert "the engine has no option colour" in problems
    assert any("/no/such/directory" in problem for problem in problems)


def test_a_paused_workflow_goes_on_where_it_was(make: MakeEngine, tmp_path: Path) -> None:
    manifest = workflow(
        {
            "name": "main",
            "steps": [
                [{"name": "first", "template": "first"}],
                [{"name": "second", "template": "second", "arguments": {"parameters": [
                    {"name": "word", "value": "{{steps.first.outputs.parameters.word}}"}]}}],
                [{"name": "third", "template": "third"}],
            ],
        },
        {
            "name": "first",
            "container": shell("echo kept > /tmp/word; echo first"),
            "outputs": {"parameters": [{"name": "word", "valueFrom": {"path": "/tmp/word"}}]},
        },
        {
            "name": "second",
            "inputs": {"parameters": [{"name": "word"}]},
            "container": shell("echo {{inputs.parameters.word}}; sleep 2"),
        },
        {"name": "third", "container": shell("echo third")},
    )  # fmt: skip
    engine = make()
    engine.submit(Submission("paused", manifest))
    until(lambda: any(node["displayName"] == "second" and node["phase"] == "Running"
                      for node in engine.get("paused").nodes.values()))  # fmt: skip
    # What a container has written a moment ago may go with its supervisor.
    until(lambda: any(line.text == "kept" for line in engine.logs("paused")))
    before = engine.get("paused")

    os.kill(pid_of(engine, "paused"), signal.SIGTERM)
    until(lambda: not liveness.is_alive(engine.folder.path("paused")))

    assert engine.get("paused").phase == WorkflowPhase.RUNNING
    status = wait(make(), "paused")
    assert status.phase == WorkflowPhase.SUCCEEDED
    assert status.started_at == before.started_at
    first = next(node for node in before.nodes.values() if node["displayName"] == "first")
    assert status.nodes[first["id"]]["startedAt"] == first["startedAt"]
    written = sorted((status.nodes[line.node]["displayName"], line.text) for line in engine.logs("paused"))
    assert written == [("first", "first"), ("second", "kept"), ("second", "kept"), ("third", "third")]


def test_a_paused_workflow_whose_supervisor_is_still_leaving_goes_on_in_the_same_watch(make: MakeEngine) -> None:
    engine = make()
    engine.submit(Submission("leaving", sleeper(1)))
    until(lambda: phase_of_pod(engine, "leaving") == "Running")
    os.kill(pid_of(engine, "leaving"), signal.SIGTERM)
    until(lambda: not liveness.is_alive(engine.folder.path("leaving")))

    with liveness.taken(engine.folder.path("leaving")):
        events = make().watch(timeout_seconds=PATIENCE_SECONDS)
        assert next(events).status.phase == WorkflowPhase.RUNNING

    assert any(event.status.phase == WorkflowPhase.SUCCEEDED for event in events)


def test_a_paused_workflow_can_be_stopped_and_removed(make: MakeEngine) -> None:
    engine = make()
    for name in ("to-stop", "to-remove"):
        engine.submit(Submission(name, sleeper()))
        until(lambda name=name: phase_of_pod(engine, name) == "Running")
        os.kill(pid_of(engine, name), signal.SIGTERM)
        until(lambda name=name: not liveness.is_alive(engine.folder.path(name)))

    engine.stop("to-stop")
    engine.delete("to-remove")

    assert wait(make(), "to-stop").message == "Stopped with strategy 'Stop'"
    with pytest.raises(WorkflowNotFound):
        engine.get("to-remove")
