"""Kinds of templates and what passes between them, with real processes."""

from __future__ import annotations

from typing import Any

from engines.local import LocalEngine
from tests.engines.local.harness import node, parameters, run, shell, text, workflow

SCRIPT = {
    "name": "gen",
    "script": {
        "image": "python:3.11",
        "command": ["python"],
        "source": "import json\nprint(json.dumps([{'n': 1, 'who': 'ann'}, {'n': 2, 'who': 'bob'}]))",
    },
}


def step(name: str, template: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "template": template, **more}


def test_a_scripts_result_is_looped_over(engine: LocalEngine) -> None:
    say = {"name": "say", "inputs": parameters(who=None), "container": shell("echo {{inputs.parameters.who}}")}
    loop = step("loop", "say", withParam="{{steps.gen.outputs.result}}", arguments=parameters(who="{{item.who}}"))

    status = run(engine, "script", workflow({"name": "main", "steps": [[step("gen", "gen")], [loop]]}, SCRIPT, say))

    assert status.phase == "Succeeded", status.message
    assert node(status, "gen")["outputs"]["result"] == '[{"n": 1, "who": "ann"}, {"n": 2, "who": "bob"}]'
    assert {one["displayName"] for one in status.nodes.values()} >= {"loop(0:n:1,who:ann)", "loop(1:n:2,who:bob)"}


def test_a_daemon_serves_until_its_template_ends(engine: LocalEngine) -> None:
    daemon = {
        "name": "server",
        "daemon": True,
        "container": {
            "image": "python:3.11",
            "command": ["python", "-m", "http.server", "8123", "--bind", "127.0.0.1"],
            "readinessProbe": {"httpGet": {"port": 8123, "path": "/"}, "periodSeconds": 1},
        },
    }
    client = {
        "name": "client",
        "inputs": parameters(ip=None),
        "container": {
            "image": "python:3.11",
            "command": ["python", "-c"],
            "args": [
                "import urllib.request as r; "
                "print(r.urlopen('http://{{inputs.parameters.ip}}:8123/', timeout=5).status)"
            ],
        },
    }
    steps = [[step("db", "server")], [step("use", "client", arguments=parameters(ip="{{steps.db.ip}}"))]]

    status = run(engine, "daemon", workflow({"name": "main", "steps": steps}, daemon, client))

    assert status.phase == "Succeeded", status.message
    assert text(engine, "daemon") == "200"
    assert node(engine.get("daemon"), "db")["phase"] in ("Succeeded", "Running")


def test_files_and_parameters_pass_between_steps(engine: LocalEngine) -> None:
    make = {
        "name": "make",
        "outputs": {
            "parameters": [{"name": "size", "valueFrom": {"path": "/out/size"}}],
            "artifacts": [{"name": "file", "path": "/out/file"}],
        },
        "container": shell("mkdir -p /out; echo 3 > /out/size; printf abc > /out/file"),
    }
    use = {
        "name": "use",
        "inputs": {
            **parameters(size=None),
            "artifacts": [
                {"name": "file", "path": "/in/file"},
                {"name": "note", "path": "/in/note", "raw": {"data": "raw {{workflow.name}}"}},
                {"name": "absent", "path": "/in/absent", "optional": True},
            ],
        },
        "container": shell("echo $(cat /in/file) {{inputs.parameters.size}} $(cat /in/note) $(ls /in)"),
    }
    arguments = {
        **parameters(size="{{steps.make.outputs.parameters.size}}"),
        "artifacts": [{"name": "file", "from": "{{steps.make.outputs.artifacts.file}}"}],
    }
    steps = [[step("make", "make")], [step("use", "use", arguments=arguments)]]

    status = run(engine, "files", workflow({"name": "main", "steps": steps}, make, use))

    assert status.phase == "Succeeded", status.message
    assert text(engine, "files") == "abc 3 raw files file note"
    assert node(status, "make")["outputs"]["artifacts"][0]["name"] == "file"


def test_an_output_that_is_missing_is_an_error(engine: LocalEngine) -> None:
    template = {
        "name": "main",
        "outputs": {"parameters": [{"name": "v", "valueFrom": {"path": "/out/v"}}]},
        "container": shell("true"),
    }

    status = run(engine, "missing-output", workflow(template))

    assert (status.phase, status.message) == (
        "Error",
        "failed to save outputs: parameter v: no file at /out/v",
    )


def test_a_container_set_tries_again_inside_its_pod(engine: LocalEngine) -> None:
    containers = [{"name": "main", **shell("echo x >> /tmp/ws/n; [ $(wc -l < /tmp/ws/n) -ge 3 ]")}]
    template = {
        "name": "main",
        "volumes": [{"name": "ws", "emptyDir": {}}],
        "containerSet": {
            "containers": containers,
            "volumeMounts": [{"name": "ws", "mountPath": "/tmp/ws"}],
            "retryStrategy": {"retries": "2", "duration": "10ms"},
        },
    }

    status = run(engine, "set-retry", workflow(template))

    assert status.phase == "Succeeded", status.message


def test_a_container_whose_dependency_failed_does_not_run(engine: LocalEngine) -> None:
    containers = [
        {"name": "first", **shell("exit 4")},
        {"name": "main", "dependencies": ["first"], **shell("echo ran")},
    ]

    status = run(engine, "set-fails", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert (status.phase, status.message) == ("Failed", "first: Error (exit code 4)")
    assert text(engine, "set-fails") == ""
    assert {one["displayName"]: one["phase"] for one in status.nodes.values() if one["type"] == "Container"} == {
        "first": "Failed",
        "main": "Error",
    }


def test_a_failing_init_container_fails_the_pod(engine: LocalEngine) -> None:
    template = {
        "name": "main",
        "initContainers": [{"name": "prepare", **shell("exit 2")}],
        "container": shell("echo ran"),
    }

    status = run(engine, "init-fails", workflow(template))

    assert (status.phase, status.message) == ("Failed", "prepare: Error (exit code 2)")
    assert "exitCode" not in node(status, "init-fails").get("outputs", {})


def test_a_program_that_is_not_there_is_a_start_error(engine: LocalEngine) -> None:
    template = {"name": "main", "container": {"image": "busybox", "command": ["no-such-program"]}}

    status = run(engine, "no-program", workflow(template))

    assert status.phase == "Failed"
    assert status.message.startswith("main: StartError (exit code 128): ")


def test_a_templates_own_deadline_kills_its_pod(engine: LocalEngine) -> None:
    template = {"name": "main", "activeDeadlineSeconds": 1, "container": shell("sleep 60")}

    status = run(engine, "own-deadline", workflow(template))

    assert (status.phase, status.message) == (
        "Failed",
        "Pod was active on the node longer than the specified deadline",
    )


def test_a_suspended_step_goes_on_by_itself(engine: LocalEngine) -> None:
    wait = {"name": "wait", "suspend": {"duration": "1s"}}

    status = run(engine, "suspend", workflow({"name": "main", "steps": [[step("wait", "wait")]]}, wait))

    assert (status.phase, node(status, "wait")["type"]) == ("Succeeded", "Suspend")


def test_user_text_comes_out_as_it_went_in(engine: LocalEngine) -> None:
    value = 'quote " back \\ line\nend {{workflow.uid}} $(HOME) ü'
    template = {
        "name": "main",
        "inputs": parameters(text=None),
        "container": {"image": "busybox", "command": ["printf", "%s"], "args": ["{{inputs.parameters.text}}"]},
    }

    run(engine, "user-text", workflow(template, arguments=parameters(text=value)))

    assert text(engine, "user-text") == value
