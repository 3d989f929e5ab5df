from dataclasses import replace
from typing import Any

import pytest

from engines.base import LogLine, Submission, WorkflowPhase
from engines.recording import RecordingEngine
from runs.endings import run_wound_up
from runs.last_words import culprit_of, last_words, soon_known_last_words, with_last_words
from runs.models import WorkflowRun
from runs.services import run_observe


def node(node_id: str, kind: str = "Pod", phase: str = "Failed", **more: Any) -> dict[str, Any]:
    return {"id": node_id, "name": f"wf.{node_id}", "displayName": node_id, "type": kind, "phase": phase, **more}


def nodes(*found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in found}


def a_set(*containers: tuple[str, str], phase: str = "Failed", pod: str = "train") -> dict[str, dict[str, Any]]:
    """Return the nodes of a pod and of its containers, each a name and a message."""
    own = [
        node(
            f"{pod}.{name}",
            "Container",
            "Failed" if message else "Running",
            displayName=name,
            message=message,
            boundaryID=pod,
            finishedAt=f"2026-01-01T00:00:0{number}Z" if message else None,
        )
        for number, (name, message) in enumerate(containers)
    ]
    return nodes(node(pod, phase=phase, children=[each["id"] for each in own]), *own)


@pytest.fixture
def recorded() -> RecordingEngine:
    engine = RecordingEngine()
    engine.submit(Submission("wf", {"spec": {}}))
    return engine


def write(
    recorded: RecordingEngine, text: str, *, container: str = "main", stream: str = "stdout", second: int = 0
) -> None:
    at = f"2026-01-01T00:00:{second:02}Z"
    recorded._state.logs.setdefault("wf", []).append(LogLine("train", container, stream, text, at))


def test_the_container_that_failed_first_is_told_with_its_last_line(recorded: RecordingEngine) -> None:
    write(recorded, "loading", container="ai", second=1)
    write(recorded, "No module named 'torch'\n", container="ai", stream="stderr", second=1)
    write(recorded, "of another", second=2)
    found = a_set(("ai", "Error (exit code 3)"), ("main", "Error (exit code 1)"))

    assert last_words(found, "wf", recorded) == (
        "Step train, container ai (exit code 3), wrote last: No module named 'torch' | loading"
    )


def test_a_container_of_a_pod_that_goes_on_has_failed_too() -> None:
    culprit = culprit_of(a_set(("main", ""), ("ai", "Error (exit code 3)"), phase="Running"))

    assert culprit is not None
    assert (culprit.step, culprit.container, culprit.code) == ("train", "ai", "3")


def test_the_container_that_a_message_names_is_meant_also_where_it_ended_well() -> None:
    found = a_set(("main", "Error (exit code 1)"), ("ai", ""), ("other", "Error (exit code 2)"))
    found["train.ai"]["phase"] = "Succeeded"

    culprit = culprit_of(found, "the AI engine ended before it was ready: container ai ended with exit code 0")

    assert culprit is not None
    assert (culprit.container, culprit.code) == ("ai", "0")


def test_what_was_written_before_the_last_second_gives_way_whatever_its_stream(recorded: RecordingEngine) -> None:
    write(recorded, "a warning", stream="stderr", second=1)
    write(recorded, "giving up", second=9)

    found = nodes(node("train", message="Error (exit code 1)"))

    assert last_words(found, "wf", recorded).endswith("wrote last: giving up")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("OOMKilled (exit code 137)", "raise the limit"),
        ("main: Error (exit code 127)", "not contain this"),
        ("main: StartError (exit code 128): exec: \"x\": executable file not found in $PATH", "not contain this"),
    ],
)  # fmt: skip
def test_what_to_do_is_told_where_it_is_known(recorded: RecordingEngine, message: str, said: str) -> None:
    assert said in last_words(nodes(node("train", message=message)), "wf", recorded)


def test_a_silent_container_is_told_as_such(recorded: RecordingEngine) -> None:
    found = nodes(node("train", message="main: Error (exit code 5)"))

    assert last_words(found, "wf", recorded) == "Step train, container main (exit code 5), wrote no log."


def test_what_a_message_says_already_is_not_said_again(recorded: RecordingEngine) -> None:
    write(recorded, "2026-01-01 ERROR the step failed: no data")
    found = nodes(node("train", message="main: Error (exit code 1)"))

    assert last_words(found, "wf", recorded, "no data") == "Step train, container main (exit code 1)."


def test_an_attempt_that_was_followed_by_another_is_no_culprit() -> None:
    first, second = node("a(0)", message="Error (exit code 1)"), node("a(1)", message="Error (exit code 2)")
    failed = nodes(node("a", "Retry", children=["a(0)", "a(1)"]), first, second)
    succeeded = nodes(node("a", "Retry", "Succeeded", children=["a(0)", "a(1)"]), first, replace_phase(second))

    culprit = culprit_of(failed)
    assert culprit is not None
    assert culprit.code == "2"
    assert culprit_of(succeeded) is None


def replace_phase(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "phase": "Succeeded", "message": ""}


def test_an_exit_handler_is_the_last_to_be_blamed() -> None:
    found = nodes(
        node("report", message="Error (exit code 9)", finishedAt="2026-01-01T00:00:00Z", name="wf.onExit[0].report"),
        node("train", message="Error (exit code 1)", finishedAt="2026-01-01T00:00:05Z"),
    )

    culprit = culprit_of(found)
    assert culprit is not None
    assert culprit.step == "train"


def test_a_long_line_is_cut(recorded: RecordingEngine) -> None:
    write(recorded, "x" * 100_000)

    assert len(last_words(nodes(node("train", message="Error (exit code 1)")), "wf", recorded)) < 700


def test_an_engine_that_does_not_tell_costs_the_line_only(recorded: RecordingEngine) -> None:
    recorded.unavailable = True

    found = last_words(nodes(node("train", message="Error (exit code 1)")), "wf", recorded)
    assert found == "Step train, container main (exit code 1)."


def test_last_words_are_a_sentence_of_their_own() -> None:
    assert with_last_words("no data", "Step a.") == "no data. Step a."
    assert with_last_words("no data.", "Step a.") == "no data. Step a."
    assert with_last_words("no data. Step a.", "Step a.") == "no data. Step a."
    assert with_last_words("no data ", "") == "no data"


@pytest.mark.parametrize("message", ["", "Step train, container main (exit code 1), wrote last: boom"])
def test_what_was_said_last_is_told_once_and_without_nul(recorded: RecordingEngine, message: str) -> None:
    write(recorded, "bo\0om")
    found = nodes(node("train", message="Error (exit code 1)"))

    words = last_words(found, "wf", recorded, message)
    assert words == ("" if message else "Step train, container main (exit code 1), wrote last: bo\ufffdom")


@pytest.mark.parametrize(("lines", "is_told"), [(3, True), (6000, False)])
def test_short_logs_are_looked_at_at_once(recorded: RecordingEngine, lines: int, is_told: bool) -> None:
    recorded.is_of_this_machine = True
    for number in range(lines):
        write(recorded, f"line {number}")
    status = replace(
        recorded.get("wf"), phase=WorkflowPhase.FAILED, nodes=nodes(node("train", message="Error (exit code 1)"))
    )

    assert bool(soon_known_last_words(status, recorded)) is is_told
    assert soon_known_last_words(replace(status, phase=WorkflowPhase.SUCCEEDED), recorded) == ""


@pytest.mark.django_db
def test_a_run_that_failed_says_what_its_container_said_last(make_run: Any, status_of: Any, engine: Any) -> None:
    run = make_run()
    recording = RecordingEngine()
    recording.submit(Submission(run.name, run.manifest))
    recording._state.logs[run.name] = [LogLine("node-1", "main", "stderr", "boom", "2026-01-01T00:00:00Z")]
    failed = {"node-1": node("node-1", message="Error (exit code 3)", displayName="train")}
    run_observe(run_id=run.pk, status=replace(status_of(run, WorkflowPhase.FAILED), nodes=failed))

    run_wound_up(WorkflowRun.objects.get(pk=run.pk), recording, run.created_at)

    run.refresh_from_db()
    assert run.message == "train: Error (exit code 3). Step train, container main (exit code 3), wrote last: boom"
