import yaml

from runs.markup import manifest_yaml, node_table
from runs.models import RunNodes, WorkflowRun


def table(**nodes):
    run = WorkflowRun(name="execution-1-1-a")
    run.node_table = RunNodes(nodes=nodes)
    return node_table(run)


def test_a_step_has_its_phase_duration_message_and_log():
    times = {"startedAt": "2026-11-21T10:00:00Z", "finishedAt": "2026-11-21T11:01:01Z"}

    page = table(a={"id": "a b", "displayName": "train", "type": "Pod", "phase": "Failed", "message": "<b>", **times})

    assert '<span class="badge bad">Failed</span>' in page
    assert "1:01:01" in page
    assert "&lt;b&gt;" in page
    assert "/api/runs/execution-1-1-a/logs/?node=a%20b" in page


def test_what_never_ran_has_neither_duration_nor_log():
    page = table(a={"id": "a", "type": "Skipped", "phase": "Skipped", "startedAt": "2026-11-21T10:00:00Z"})

    assert "/logs/" not in page


def test_times_that_are_none_are_no_fault():
    assert "train" in table(a={"displayName": "train", "phase": "Running", "startedAt": "2026-99-99T10:00:00Z"})


def test_a_run_without_nodes_says_so():
    assert "has not reported any steps" in table()


def test_a_manifest_is_the_same_when_it_is_read_again():
    manifest = {"spec": {"args": ["one\n  two \n\n", "a: b", "\ttab\n", "nul\x07\nx"], "n": 1, "é": None}}

    assert yaml.safe_load(manifest_yaml(manifest)) == manifest
    assert "|-\n" in manifest_yaml({"args": "first\nsecond"})
