"""What manifests of the field ask for beside steps, tasks and containers, each in a small Workflow of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from engines.base import ManifestRejected, StopStrategy, Submission
from engines.local import LocalEngine
from engines.local.validation import runnable
from tests.engines.local.harness import node, parameters, run, shell, text, wait, workflow

OK: dict[str, Any] = {"name": "ok", "container": shell("true")}


def step(name: str, template: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": template, **more}


def main(*groups: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"name": "main", "steps": list(groups), **more}


class TestConfigMaps:
    REFERENCE = {"configMapKeyRef": {"name": "settings", "key": "message"}}

    def test_they_give_arguments_and_inputs(self, engine: LocalEngine) -> None:
        say = {
            "name": "say",
            "inputs": {"parameters": [{"name": "own", "valueFrom": self.REFERENCE}]},
            "container": shell("echo {{inputs.parameters.own}} {{workflow.parameters.shared}}"),
        }
        arguments = {"parameters": [{"name": "shared", "valueFrom": self.REFERENCE}]}
        manifest = workflow(main([step("a", "say")]), say, arguments=arguments)

        run(engine, "from-config-map", manifest, config_maps={"settings": {"message": "hello"}})

        assert text(engine, "from-config-map") == "hello hello"

    def test_one_that_is_missing_is_told(self, engine: LocalEngine) -> None:
        arguments = {"parameters": [{"name": "shared", "valueFrom": self.REFERENCE}]}

        status = run(engine, "no-config-map", workflow(OK, arguments=arguments))

        assert (status.phase, status.message) == (
            "Error",
            "parameter shared: no ConfigMap of this Workflow has the key settings/message",
        )

    def test_one_that_is_missing_has_a_default(self, engine: LocalEngine) -> None:
        source = {**self.REFERENCE, "default": "silence"}
        say = {"name": "say", "container": shell("echo {{workflow.parameters.shared}}")}
        arguments = {"parameters": [{"name": "shared", "valueFrom": source}]}

        run(engine, "default-for-config-map", workflow(say, arguments=arguments))

        assert text(engine, "default-for-config-map") == "silence"


class TestSemaphores:
    def test_a_template_runs_so_often_at_a_time(self, engine: LocalEngine) -> None:
        """Five pods count how many of them run; two may."""
        counted = shell("mkdir /work/$0; ls /work | wc -l; sleep 0.3; rmdir /work/$0", command=["sh", "-c"])
        counted["args"] = [*counted["args"], "{{pod.name}}"]
        counted["volumeMounts"] = [{"name": "work", "mountPath": "/work"}]
        semaphore = {"configMapKeyRef": {"name": "limits", "key": "work"}}
        work = {"name": "work", "synchronization": {"semaphores": [semaphore]}, "container": counted}
        manifest = workflow(
            main([step("a", "work", withItems=[1, 2, 3, 4, 5])]),
            work,
            volumeClaimTemplates=[{"metadata": {"name": "work"}, "spec": {}}],
        )

        status = run(engine, "semaphore", manifest, config_maps={"limits": {"work": "2"}})

        assert status.phase == "Succeeded"
        assert set(text(engine, "semaphore").split()) <= {"1", "2"}

    @pytest.mark.parametrize("limit", ["none", "0"])
    def test_one_without_a_size_is_an_error(self, engine: LocalEngine, limit: str) -> None:
        semaphore = {"configMapKeyRef": {"name": "limits", "key": "work"}}
        manifest = workflow({**OK, "synchronization": {"semaphore": semaphore}})

        status = run(engine, f"semaphore-{limit}", manifest, config_maps={"limits": {"work": limit}})

        assert status.phase == "Error"
        assert "semaphore limits/work" in status.message

    def test_a_workflow_waits_for_another(self, engine: LocalEngine) -> None:
        synchronization = {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "one"}}]}
        limits = {"limits": {"one": "1"}}
        slow = workflow({**OK, "container": shell("sleep 1")}, synchronization=synchronization)
        engine.submit(Submission("first-holder", slow, limits))
        while engine.get("first-holder").phase != "Running":
            time.sleep(0.05)

        engine.submit(Submission("second-holder", workflow(OK, synchronization=synchronization), limits))
        messages = set()
        while not engine.get("second-holder").phase.is_terminal:
            messages.add(engine.get("second-holder").message)
            time.sleep(0.05)

        assert "Waiting for default/ConfigMap/limits/one lock. Lock status: 0/1" in messages
        assert engine.get("first-holder").phase.is_terminal


class TestClaims:
    TEMPLATES = [{"metadata": {"name": "work"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    MOUNT = {"volumeMounts": [{"name": "work", "mountPath": "/mnt/work"}]}

    def test_pods_of_a_workflow_share_a_folder(self, engine: LocalEngine) -> None:
        write = {"name": "write", "container": shell("echo kept > /mnt/work/file", **self.MOUNT)}
        read = {"name": "read", "container": shell("cat /mnt/work/file", **self.MOUNT)}
        manifest = workflow(
            main([step("a", "write")], [step("b", "read")]), write, read, volumeClaimTemplates=self.TEMPLATES
        )

        status = run(engine, "claim", manifest)

        assert (status.phase, text(engine, "claim")) == ("Succeeded", "kept")

    def test_the_folder_goes_with_the_workflow(self, engine: LocalEngine) -> None:
        write = {"name": "write", "container": shell("echo kept > /mnt/work/file", **self.MOUNT)}

        run(engine, "claim-ends", workflow(write, volumeClaimTemplates=self.TEMPLATES))

        folder = Path(engine.settings.root, "workflows", "claim-ends", "claims")
        until = time.monotonic() + 10
        while folder.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert not folder.exists()

    def test_two_volumes_of_a_name_are_refused(self) -> None:
        volumes = [{"name": "work", "emptyDir": {}}]
        with pytest.raises(ManifestRejected) as refusal:
            runnable(workflow(OK, volumes=volumes, volumeClaimTemplates=self.TEMPLATES), "x")

        assert refusal.value.pointer == "/spec/volumeClaimTemplates"


class TestMemos:
    @staticmethod
    def manifest(key: str, **memoize: Any) -> dict[str, Any]:
        cache = {"configMap": {"name": f"cache-{key}"}}
        work = {
            "name": "work",
            "memoize": {"key": "{{workflow.parameters.key}}", "cache": cache, **memoize},
            "container": shell("echo ran; date +%s%N > /tmp/at"),
            "outputs": {"parameters": [{"name": "at", "valueFrom": {"path": "/tmp/at"}}]},
        }
        say = {"name": "say", "inputs": parameters(at=None), "container": shell("echo {{inputs.parameters.at}}")}
        given = parameters(at="{{steps.a.outputs.parameters.at}}")
        return workflow(
            main([step("a", "work")], [step("b", "say", arguments=given)]), work, say, arguments=parameters(key=key)
        )

    def test_what_has_run_is_not_run_again(self, engine: LocalEngine) -> None:
        first = run(engine, "memo-1", self.manifest("same"))
        second = run(engine, "memo-2", self.manifest("same"))
        other = run(engine, "memo-3", self.manifest("other"))

        assert node(first, "a")["memoizationStatus"] == {"hit": False, "key": "same", "cacheName": "cache-same"}
        assert node(second, "a")["memoizationStatus"]["hit"] is True
        assert node(second, "a")["outputs"]["parameters"] == node(first, "a")["outputs"]["parameters"]
        assert text(engine, "memo-2") == text(engine, "memo-1").split()[1]
        assert node(other, "a")["memoizationStatus"]["hit"] is False

    def test_what_is_too_old_is_run_again(self, engine: LocalEngine) -> None:
        run(engine, "memo-old-1", self.manifest("old", maxAge="1s"))
        time.sleep(1.1)

        status = run(engine, "memo-old-2", self.manifest("old", maxAge="1s"))

        assert node(status, "a")["memoizationStatus"]["hit"] is False

    def test_what_fails_is_not_remembered(self, engine: LocalEngine) -> None:
        cache = {"configMap": {"name": "cache-failing"}}
        manifest = workflow({**OK, "memoize": {"key": "x", "cache": cache}, "container": shell("exit 1")})
        run(engine, "memo-failed-1", manifest)

        status = run(engine, "memo-failed-2", manifest)

        assert status.phase == "Failed"

    def test_a_key_that_is_none_is_an_error(self, engine: LocalEngine) -> None:
        cache = {"configMap": {"name": "c"}}

        status = run(engine, "memo-key", workflow({**OK, "memoize": {"key": "../x", "cache": cache}}))

        assert (status.phase, status.message) == ("Error", "invalid cache key: ../x")

    def test_a_workflow_that_is_taken_up_is_told_what_it_was_told(self, engine: LocalEngine) -> None:
        run(engine, "memo-taken-0", self.manifest("taken"))
        manifest = self.manifest("taken")
        manifest["spec"]["templates"][0]["steps"].insert(1, [step("wait", "slow")])
        manifest["spec"]["templates"].append({"name": "slow", "container": shell("sleep 2")})
        engine.submit(Submission("memo-taken", manifest))
        while "wait" not in {one["displayName"] for one in engine.get("memo-taken").nodes.values()}:
            time.sleep(0.05)
        before = node(engine.get("memo-taken"), "a")
        engine.folder.wish("memo-taken", "pause")
        while not engine.folder.is_paused("memo-taken"):
            time.sleep(0.05)
        for path in Path(engine.settings.root, "memos").rglob("*"):
            if path.is_file():
                path.unlink()

        status = wait(engine, "memo-taken")

        assert status.phase == "Succeeded"
        assert node(status, "a")["outputs"] == before["outputs"]


def test_a_part_of_an_artifact_is_passed_on(engine: LocalEngine) -> None:
    make = {
        "name": "make",
        "container": shell("mkdir -p /tmp/all/in; echo part > /tmp/all/in/file; ln -s /etc/passwd /tmp/all/link"),
        "outputs": {"artifacts": [{"name": "all", "path": "/tmp/all"}]},
    }
    read = {
        "name": "read",
        "inputs": {"artifacts": [{"name": "x", "path": "/tmp/x"}]},
        "container": shell("cat /tmp/x"),
    }

    def given(inner: str) -> dict[str, Any]:
        return {"artifacts": [{"name": "x", "from": "{{steps.a.outputs.artifacts.all}}", "subPath": inner}]}

    reading = [
        step("file", "read", arguments=given("in/file")),
        step("link", "read", arguments=given("link"), continueOn={"error": True}),
        step("none", "read", arguments=given("nobody"), continueOn={"error": True}),
    ]
    status = run(engine, "artifact-part", workflow(main([step("a", "make")], reading), make, read))

    assert (status.phase, text(engine, "artifact-part")) == ("Succeeded", "part")
    assert [node(status, name)["phase"] for name in ("link", "none")] == ["Error", "Error"]


def test_a_patch_of_the_workflow_is_laid_over_all_pods(engine: LocalEngine) -> None:
    patch = 'containers: [{name: main, env: [{name: A, value: "{{workflow.parameters.a}}"}, {name: B, value: b}]}]'
    own = '{"containers": [{"name": "main", "env": [{"name": "B", "value": "own"}]}]}'
    say = {"name": "say", "podSpecPatch": own, "container": shell("echo $A $B")}

    run(engine, "patched-by-workflow", workflow(say, podSpecPatch=patch, arguments=parameters(a="1")))

    assert text(engine, "patched-by-workflow") == "1 own"


def test_exit_hooks_and_terminated_workflows_end(engine: LocalEngine) -> None:
    hooks = {"exit": {"template": "ok"}}
    slow = {"name": "slow", "container": shell("sleep 30")}
    engine.submit(Submission("hooked-stop", workflow(main([step("a", "slow", hooks=hooks)]), slow, OK)))
    while "Running" not in {one["phase"] for one in engine.get("hooked-stop").nodes.values() if one["type"] == "Pod"}:
        time.sleep(0.05)

    engine.stop("hooked-stop", StopStrategy.STOP)
    status = wait(engine, "hooked-stop")

    assert status.phase == "Failed"
    assert node(status, "a.onExit")["phase"] == "Succeeded"
