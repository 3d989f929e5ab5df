"""What users' manifests contain, run with small programs in place of the images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engines.base import ManifestRejected, Submission
from engines.local import LocalEngine
from tests.engines.local.harness import node, parameters, run, shell, text, workflow

CENTRAL = "{{workflow.parameters.platform_centralNodeLabelValue}}"
SERVER = "import socket; s=socket.create_server(('127.0.0.1', 8000)); c,_=s.accept(); c.sendall(b'pong')"
CLIENT = """
import socket, time
for _ in range(200):
    try:
        print(socket.create_connection(("127.0.0.1", 8000)).recv(10).decode())
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
"""


def python(name: str, source: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "python:3.11", "command": ["python", "-c"], "args": [source], **more}


def test_the_step_runner_reaches_its_ai_engine_on_the_loopback_they_share(engine: LocalEngine) -> None:
    containers = [python("main", CLIENT), python("main-ai-engine", SERVER)]

    status = run(engine, "loopback", workflow({"name": "main", "containerSet": {"containers": containers}}))

    assert status.phase == "Succeeded"
    assert text(engine, "loopback") == "pong"
    assert node(status, "main-ai-engine")["type"] == "Container"


def test_two_pods_use_the_same_port(engine: LocalEngine) -> None:
    containers = [python("main", CLIENT), python("main-ai-engine", SERVER)]
    steps = [[{"name": "a", "template": "pair"}, {"name": "b", "template": "pair"}]]

    status = run(
        engine,
        "same-port",
        workflow({"name": "main", "steps": steps}, {"name": "pair", "containerSet": {"containers": containers}}),
    )

    assert status.phase == "Succeeded"


def test_a_host_path_that_is_empty_is_an_empty_directory(engine: LocalEngine) -> None:
    template = {
        "name": "main",
        "inputs": parameters(execution_dataPartnerPath=None),
        "volumes": [
            {
                "name": "data",
                "hostPath": {"path": "{{inputs.parameters.execution_dataPartnerPath}}", "type": "Directory"},
            }
        ],
        "container": shell("ls /data | wc -l; touch /data/x", volumeMounts=[{"name": "data", "mountPath": "/data"}]),
    }

    status = run(engine, "no-path", workflow(template, arguments=parameters(execution_dataPartnerPath="")))

    assert status.phase == "Succeeded", status.message
    assert text(engine, "no-path").strip() == "0"


def host_path(path: str, script: str, **mount: Any) -> dict[str, Any]:
    return workflow(
        {
            "name": "main",
            "nodeSelector": {"dataPartner": "{{workflow.parameters.partner}}"},
            "volumes": [{"name": "data", "hostPath": {"path": path, "type": "Directory"}}],
            "container": shell(script, volumeMounts=[{"name": "data", "mountPath": "/data", **mount}]),
        },
        arguments=parameters(partner="data-partner-2"),
    )


def test_a_partners_files_are_mounted(engine: LocalEngine, partner_directory: Path) -> None:
    status = run(engine, "partner", host_path(str(partner_directory), "cat /data/patients.csv", readOnly=True))

    assert (status.phase, text(engine, "partner")) == ("Succeeded", "1,2")
    assert node(status, "partner")["hostNodeName"] == "data-partner-2"


def test_a_read_only_mount_cannot_be_written(engine: LocalEngine, partner_directory: Path) -> None:
    status = run(engine, "read-only", host_path(str(partner_directory), "touch /data/new", readOnly=True))

    assert status.phase == "Failed"
    assert not (partner_directory / "new").exists()


def test_nothing_else_of_the_host_is_mounted(engine: LocalEngine, partner_directory: Path) -> None:
    for name, path in (("etc", "/etc"), ("beside", f"{partner_directory}x")):
        status = run(engine, f"not-allowed-{name}", host_path(path, "true"))

        assert status.phase == "Error"
        assert "hostpath_allow" in status.message

    with pytest.raises(ManifestRejected) as refusal:
        engine.submit(Submission("not-allowed-up", host_path(f"{partner_directory}/../", "true")))
    assert refusal.value.pointer == "/spec/templates/0/volumes/0/hostPath/path"


def test_a_link_out_of_an_allowed_directory_is_not_followed(engine: LocalEngine, partner_directory: Path) -> None:
    (partner_directory / "link").symlink_to("/etc")

    status = run(engine, "link-out", host_path(f"{partner_directory}/link", "true"))

    assert (status.phase, "hostpath_allow" in status.message) == ("Error", True)


EXIT_HANDLER = [
    {
        "name": "exit",
        "steps": [
            [
                {
                    "name": "update-to-failed",
                    "template": "update-to-failed",
                    "when": "{{workflow.status}} != Succeeded",
                    "arguments": parameters(message="{{workflow.outputs.parameters.main-error-message}}"),
                }
            ]
        ],
    },
    {
        "name": "update-to-failed",
        "inputs": parameters(message=None),
        "container": shell("echo 'update_to_failed:{{inputs.parameters.message}}'"),
    },
]


def failing(script: str) -> dict[str, Any]:
    source = {"default": "Unexpected error", "path": "/usr/application/error_message.txt"}
    return {
        "name": "step-runner",
        "retryStrategy": {"limit": "1", "retryPolicy": "OnError"},
        "outputs": {"parameters": [{"name": "message", "valueFrom": source, "globalName": "main-error-message"}]},
        "container": shell(script, workingDir="/usr/application"),
    }


def test_the_exit_handler_reads_what_the_failed_step_wrote(engine: LocalEngine) -> None:
    steps = {"name": "main", "steps": [[{"name": "run", "template": "step-runner"}]]}
    broken = failing("printf 'no data' > error_message.txt; exit 1")

    status = run(engine, "exit-read", workflow(steps, broken, *EXIT_HANDLER, onExit="exit"))

    assert status.phase == "Failed"
    assert text(engine, "exit-read") == "update_to_failed:no data"
    assert node(status, "exit-read.onExit")["nodeFlag"] == {"hooked": True}


def test_the_exit_handler_gets_the_default_of_a_step_that_wrote_nothing(engine: LocalEngine) -> None:
    status = run(engine, "exit-default", workflow(failing("exit 1"), *EXIT_HANDLER, onExit="exit"))

    assert status.message == "main: Error (exit code 1)"
    assert text(engine, "exit-default") == "update_to_failed:Unexpected error"


def test_the_exit_handler_gets_the_tag_itself_where_no_pod_came_to_run(engine: LocalEngine) -> None:
    nowhere = {**failing("true"), "nodeSelector": {"dataPartner": "nobody"}, "timeout": "1s"}
    del nowhere["retryStrategy"]

    status = run(engine, "exit-nowhere", workflow(nowhere, *EXIT_HANDLER, onExit="exit"))

    assert status.phase == "Failed"
    assert text(engine, "exit-nowhere") == "update_to_failed:{{workflow.outputs.parameters.main-error-message}}"


def test_the_exit_handler_skips_after_success(engine: LocalEngine) -> None:
    status = run(engine, "exit-skips", workflow(failing("true"), *EXIT_HANDLER, onExit="exit"))

    assert status.phase == "Succeeded"
    skipped = node(status, "update-to-failed")
    assert (skipped["type"], skipped["phase"]) == ("Skipped", "Skipped")
    assert skipped["message"] == "when 'Succeeded != Succeeded' evaluated false"


def blob(name: str) -> dict[str, Any]:
    return {"azure": {"blob": f"{{{{workflow.creationTimestamp.RFC3339}}}}/{name}", "container": "c", "endpoint": "e"}}


def test_federated_training_hands_its_elements_on(engine: LocalEngine) -> None:
    partners = json.dumps(
        [{"data_partner": f"data-partner-{n}", "data_path": f"/d/{n}", "patients": [n]} for n in (1, 2)],
        separators=(",", ":"),
    )
    tasks = [
        {"name": "server", "template": "server"},
        {
            "name": "client",
            "template": "client",
            "withParam": "{{inputs.parameters.execution_dataPartnerPatientsList}}",
            "arguments": parameters(partner="{{item.data_partner}}", path="{{item.data_path}}", all="{{item}}"),
        },
        {
            "name": "server-finalization",
            "template": "finalization",
            "dependencies": ["server"],
            "arguments": {
                "artifacts": [{"name": "elements", "from": "{{tasks.server.outputs.artifacts.output-elements}}"}]
            },
        },
    ]
    manifest = workflow(
        {"name": "main", "inputs": parameters(execution_dataPartnerPatientsList=None), "dag": {"tasks": tasks}},
        {
            "name": "server",
            "nodeSelector": {
                "{{workflow.parameters.platform_centralNodeLabelKey}}": CENTRAL,
            },
            "outputs": {"artifacts": [{"name": "output-elements", "path": "/elements", **blob("elements")}]},
            "container": shell("mkdir -p /elements/models; echo model > /elements/models/m"),
        },
        {
            "name": "client",
            "inputs": parameters(partner=None, path=None, all=None),
            "nodeSelector": {"dataPartner": "{{inputs.parameters.partner}}"},
            "container": shell("echo '{{inputs.parameters.path}} {{inputs.parameters.all}}'"),
        },
        {
            "name": "finalization",
            "inputs": {"artifacts": [{"name": "elements", "path": "/usr/application/elements", **blob("other")}]},
            "container": shell("cat {{inputs.artifacts.elements.path}}/models/m"),
        },
        arguments=parameters(
            execution_dataPartnerPatientsList=partners,
            platform_centralNodeLabelKey="nodeType",
            platform_centralNodeLabelValue="central",
        ),
    )

    status = run(engine, "federated", manifest)

    assert status.phase == "Succeeded", status.message
    assert sorted(text(engine, "federated").splitlines()) == [
        '/d/1 {"data_partner":"data-partner-1","data_path":"/d/1","patients":[1]}',
        '/d/2 {"data_partner":"data-partner-2","data_path":"/d/2","patients":[2]}',
        "model",
    ]
    names = {one["displayName"]: one.get("hostNodeName") for one in status.nodes.values()}
    assert names["server"] == "central"
    assert names["client(1:data_partner:data-partner-2,data_path:/d/2,patients:[2])"] == "data-partner-2"


def test_platform_vars_arrive_as_one_file(engine: LocalEngine) -> None:
    mounts = [
        {"name": "vars", "mountPath": "/platform_vars.json", "subPath": "platform_vars.json", "readOnly": True},
        {"name": "ws", "mountPath": "/workspace"},
    ]
    template = {
        "name": "main",
        "initContainers": [
            {
                "name": "prepare",
                **shell("cp /platform_vars.json /workspace/copy"),
                "mirrorVolumeMounts": True,
            }
        ],
        "containerSet": {
            "volumeMounts": mounts,
            "containers": [
                {"name": "main", **shell("cat /workspace/copy")},
                {"name": "main-ai-engine", **shell("cat /platform_vars.json > /dev/null")},
            ],
        },
    }
    manifest = workflow(
        template,
        arguments=parameters(aiEngine_plaformVarsConfigMapName="my-vars"),
        volumes=[
            {"name": "vars", "configMap": {"name": "{{workflow.parameters.aiEngine_plaformVarsConfigMapName}}"}},
            {"name": "ws", "emptyDir": {}},
        ],
    )

    status = run(engine, "vars", manifest, config_maps={"my-vars": {"platform_vars.json": '{"a":"ü"}'}})

    assert status.phase == "Succeeded", status.message
    assert text(engine, "vars") == '{"a":"ü"}'


def test_environment_comes_from_config_maps_and_secrets(engine: LocalEngine) -> None:
    env = [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "callback", "key": "token"}}},
        {"name": "GREETING", "value": "hello $(WHO)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    source = [{"configMapRef": {"name": "vars"}}, {"prefix": "P_", "configMapRef": {"name": "vars"}}]
    template = {"name": "main", "container": shell('echo "$TOKEN/$GREETING/$P_WHO/$POD"', env=env, envFrom=source)}

    status = run(
        engine, "env", workflow(template), config_maps={"vars": {"WHO": "you"}}, secrets={"callback": {"token": "t0p"}}
    )

    assert status.phase == "Succeeded", status.message
    assert text(engine, "env") == "t0p/hello you/you/env"


def test_each_pod_has_its_own_name_for_its_host(engine: LocalEngine) -> None:
    # One after the other, so that the second gets what the first has left.
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    work = {"name": "work", "container": shell('echo "$HOSTNAME"; test "$HOSTNAME" = "$POD"', env=env)}
    main = {"name": "main", "steps": [[{"name": name, "template": "work"}] for name in ("a", "b")]}

    status = run(engine, "hosts", workflow(main, work))

    assert status.phase == "Succeeded", status.message
    assert len(set(text(engine, "hosts").splitlines())) == 2


def test_pod_spec_patch_limits_memory(engine: LocalEngine) -> None:
    patch = (
        "containers:\n  - name: main\n    resources:\n      limits:\n"
        "        memory: {{workflow.parameters.execution_main-memory-request}}\n"
    )
    template = {"name": "main", "podSpecPatch": patch, "container": shell("x=a; while true; do x=$x$x; done")}

    status = run(
        engine, "patched", workflow(template, arguments=parameters(**{"execution_main-memory-request": "40Mi"}))
    )

    assert (status.phase, status.message) == ("Failed", "main: OOMKilled (exit code 137)")


def test_image_programs_get_the_containers_arguments(engine: LocalEngine, tmp_path: Path) -> None:
    images = {"*/processor-resource-manager:*": {"command": ["echo", "runner"], "working_dir": "/usr/application"}}
    own = LocalEngine("own", {"root": tmp_path / "engine", "images": images})
    container = {
        "image": "registry:5000/processor-resource-manager:{{workflow.parameters.version}}",
        "args": ["--json", '{"version": {{workflow.parameters.version}}}'],
    }

    run(own, "image", workflow({"name": "main", "container": container}, arguments=parameters(version=2)))

    assert text(own, "image") == 'runner --json {"version": 2}'
    own.delete("image")
