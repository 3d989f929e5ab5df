from __future__ import annotations

from engines.local import LocalEngine
from tests.engines.local.harness import run, shell, workflow

STEPS = {"name": "main", "steps": [[{"name": "a", "template": "t"}, {"name": "b", "template": "t"}]]}


def test_logs_of_one_node_hold_both_streams(engine: LocalEngine) -> None:
    status = run(
        engine, "log-node", workflow(STEPS, {"name": "t", "container": shell("echo out; echo err >&2; printf end")})
    )
    node_id = next(key for key, node in status.nodes.items() if node["displayName"] == "b")

    lines = [(line.node, line.container, line.stream, line.text) for line in engine.logs("log-node", node_id)]

    assert lines == [
        (node_id, "main", "stderr", "err"),
        (node_id, "main", "stdout", "out"),
        (node_id, "main", "stdout", "end"),
    ]


def test_logs_of_one_node_hold_nothing_of_a_node_with_a_longer_name(engine: LocalEngine) -> None:
    run(engine, "log-both", workflow(STEPS, {"name": "t", "container": shell("echo x")}))
    nodes = {line.node for line in engine.logs("log-both")}

    assert len(nodes) == 2
    assert [line.node for node in sorted(nodes) for line in engine.logs("log-both", node)] == sorted(nodes)
    assert list(engine.logs("log-both", "log-both")) == []


def test_logs_hold_what_is_no_text(engine: LocalEngine) -> None:
    run(engine, "log-bytes", workflow({"name": "main", "container": shell(r"printf '\377\n'")}))

    assert [line.text for line in engine.logs("log-bytes")] == ["\ufffd"]


def test_a_long_line_comes_in_pieces(engine: LocalEngine) -> None:
    run(engine, "log-long", workflow({"name": "main", "container": shell("head -c 600000 /dev/zero | tr '\\0' x")}))

    assert sum(len(line.text) for line in engine.logs("log-long")) == 600_000


def test_logs_never_leave_the_workflows_folder(engine: LocalEngine) -> None:
    run(engine, "log-safe", workflow({"name": "main", "container": shell("echo x")}))

    assert list(engine.logs("log-safe", "..")) == []
    assert list(engine.logs("log-safe", "../../other/pods/x")) == []
    assert list(engine.logs("log-safe", "*")) == []
