from __future__ import annotations

from engines.base import WorkflowPhase
from engines.local import LocalEngine
from tests.engines.local.harness import run, shell, text, workflow

WAITS = "until test -s /var/run/argo/ctr/other/exitcode; do sleep 0.05; done; cat /var/run/argo/ctr/other/exitcode"


def test_a_container_of_a_set_reads_how_another_ended(engine: LocalEngine) -> None:
    containers = [{"name": "main", **shell(f"ls /var/run/argo/ctr; {WAITS}")}, {"name": "other", **shell("exit 7")}]
    status = run(engine, "ends-set", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert status.phase is WorkflowPhase.FAILED
    assert text(engine, "ends-set").split() == ["main", "other", "7"]


def test_nobody_writes_down_the_end_of_another(engine: LocalEngine) -> None:
    forged = "echo 0 > /var/run/argo/ctr/other/exitcode || mkdir /var/run/argo/ctr/x || mv /var/run/argo/ctr /tmp"
    containers = [{"name": "main", **shell(forged)}, {"name": "other", **shell("sleep 0.2")}]
    status = run(engine, "ends-forged", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert "main" in status.nodes["ends-forged"]["message"]
    assert "Read-only" in " ".join(line.text for line in engine.logs("ends-forged"))


def test_a_container_alone_is_told_of_nobody(engine: LocalEngine) -> None:
    run(engine, "ends-alone", workflow({"name": "main", "container": shell("ls /var/run/argo || echo nothing")}))

    assert text(engine, "ends-alone") == "nothing"
