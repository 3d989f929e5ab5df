from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engines.local import LocalEngine, layout
from engines.local.log_index import LogOwners
from engines.local.logs import _GatheredTail
from tests.engines.local.harness import run, shell, workflow

STEPS = {"name": "main", "steps": [[{"name": "a", "template": "t"}, {"name": "b", "template": "t"}]]}


def test_logs_of_one_node_hold_both_streams(engine: LocalEngine) -> None:
    status = run(
        engine, "log-node", workflow(STEPS, {"name": "t", "container": shell("echo out; echo err >&2; printf end")})
    )
    node_id = next(key for key, node in status.nodes.items() if node["displayName"] == "b")

    lines = [(line.node, line.container, line.stream, line.text) for line in engine.logs("log-node", node_id)]

    # In which order the two outputs are read hangs on how long the container has run.
    assert [line for line in lines if line[2] == "stdout"] == [
        (node_id, "main", "stdout", text) for text in ("out", "end")
    ]
    assert [line for line in lines if line[2] == "stderr"] == [(node_id, "main", "stderr", "err")]
    assert len(lines) == 3


def test_logs_of_one_node_hold_nothing_of_a_node_with_a_longer_name(engine: LocalEngine) -> None:
    run(engine, "log-both", workflow(STEPS, {"name": "t", "container": shell("echo x")}))
    nodes = {line.node for line in engine.logs("log-both")}

    assert len(nodes) == 2
    assert [line.node for node in sorted(nodes) for line in engine.logs("log-both", node)] == sorted(nodes)
    assert list(engine.logs("log-both", "log-both")) == []


def test_what_short_containers_write_lies_in_few_files(engine: LocalEngine) -> None:
    item = {"parameters": [{"name": "i", "value": "{{item}}"}]}
    step = {"name": "n", "template": "t", "withSequence": {"count": "30"}, "arguments": item}
    said = shell("echo {{inputs.parameters.i}}; echo no {{inputs.parameters.i}} >&2")
    template = {"name": "t", "inputs": {"parameters": [{"name": "i"}]}, "container": said}
    run(engine, "gathered-many", workflow({"name": "main", "steps": [[step]]}, template))

    lines = [(line.stream, line.text) for line in engine.logs("gathered-many")]

    wanted = [(stream, f"{text}{i}") for i in range(30) for stream, text in (("stderr", "no "), ("stdout", ""))]
    assert sorted(lines) == sorted(wanted)
    assert len(list((engine.folder.path("gathered-many") / layout.LOGS).iterdir())) < 30


@pytest.mark.parametrize("size", [65535, 65536, 65537])
def test_a_pipe_that_is_full_is_kept_whole(engine: LocalEngine, size: int) -> None:
    name = f"log-full-{size}"
    run(engine, name, workflow({"name": "main", "container": shell(f"head -c {size} /dev/zero | tr '\\0' x")}))

    assert sum(len(line.text) for line in engine.logs(name)) == size


def test_a_gathered_output_that_is_not_whole_yet_is_read_later(engine: LocalEngine) -> None:
    run(engine, "log-part", workflow({"name": "main", "container": shell("true")}))
    folder = engine.folder.path("log-part") / layout.LOGS
    folder.mkdir()
    file = folder / f"{layout.GATHERED}x"
    file.write_bytes(b'["a.main.stdout", 2]\n1\n["b.main.stdout", 4]\n2\n')
    assert [(line.node, line.text) for line in engine.logs("log-part")] == [("a", "1")]

    with file.open("ab") as more:
        more.write(b"3\n")

    assert [line.text for line in engine.logs("log-part", "b")] == ["2", "3"]


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


def test_lines_of_several_pods_come_in_the_order_of_their_times(engine: LocalEngine) -> None:
    a = {"name": "a", "container": shell("echo 1; sleep 0.6; echo 3 >&2; sleep 0.6; echo 5")}
    b = {"name": "b", "container": shell("sleep 0.3; echo 2; sleep 0.6; echo 4")}
    steps = {"name": "main", "steps": [[{"name": "a", "template": "a"}, {"name": "b", "template": "b"}]]}
    run(engine, "log-order", workflow(steps, a, b))

    lines = list(engine.logs("log-order"))

    assert [line.text for line in lines] == ["1", "2", "3", "4", "5"]
    times = [datetime.fromisoformat(line.at) for line in lines]
    assert times == sorted(times)
    assert 0.9 < (times[-1] - times[0]).total_seconds() < 30


def test_what_is_gathered_of_short_containers_has_times(engine: LocalEngine) -> None:
    before = datetime.now(UTC)
    run(engine, "log-times", workflow(STEPS, {"name": "t", "container": shell("echo x")}))

    assert all(before < datetime.fromisoformat(line.at) < datetime.now(UTC) for line in engine.logs("log-times"))


def test_gathered_lines_that_have_just_gone_elsewhere_are_waited_for(tmp_path: Path) -> None:
    tail = _GatheredTail(tmp_path / "gone", "", LogOwners(tmp_path))

    assert (tail.begins_at(), [*tail.lines(last=False)]) == ("", [])
