"""Every script of usage_scripts/ runs against a live server, in the order a person would use them."""

from __future__ import annotations

import json
import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from usage_scripts.local_service import PROJECT, LocalService

pytestmark = pytest.mark.live
SCRIPTS = PROJECT / "usage_scripts"


SUSPENDED = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: suspended-}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: approve, template: approve}
      - {name: approve-too, template: approve}
  - name: approve
    suspend: {}
"""


class Scripts:
    """Runs scripts as a person at a shell would, and remembers which were run."""

    def __init__(self, service: LocalService) -> None:
        self.ran: set[str] = set()
        self._environment = {**os.environ, "ORCHESTRATOR_URL": service.url, "ORCHESTRATOR_TOKEN": service.token}

    def text(self, name: str, *arguments: object, schema: str = "") -> str:
        self.ran.add(name)
        command = [str(SCRIPTS / name), *map(str, arguments)]
        environment = self._environment | ({"SCHEMA": schema} if schema else {})
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=600)
        assert result.returncode == 0, f"{name}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def __call__(self, name: str, *arguments: object, schema: str = "") -> Any:
        return json.loads(self.text(name, *arguments, schema=schema))

    def flow(self, name: str, *arguments: object) -> Any:
        """Create the Schema of a flow under a name of its own, and post an execution of it."""
        schema = "own-" + name.replace("_", "-")
        assert self(f"schemas/create_{name}.sh", schema)["name"] == schema
        return self(f"executions/create_{name}.sh", *arguments, schema=schema)


def last_id(url: str) -> int:
    return int(url.rstrip("/").rsplit("/", 1)[1])


def zip_of(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def external_data(folder: Path) -> Path:
    sample = SCRIPTS / "samples" / "external_data.csv"
    return zip_of(folder / "external.zip", **{"patients.csv": sample.read_text()})


def test_every_script_runs(service: LocalService, tmp_path: Path) -> None:
    run = Scripts(service)
    assert "openapi" in run.text("service/openapi.sh")
    run.text("service/live.sh")
    run.text("service/ready.sh")

    version = registry_day(run, tmp_path)
    # The controller asks for nodes once it runs, which the API does not wait for.
    assert run("nodes/list.sh", "partner=data-partner-1")["results"][0]["ready"]
    schema_day(run, tmp_path)
    execution_day(run, version, tmp_path)
    joint_day(run, version, tmp_path)
    federated_day(run, version, tmp_path)
    suspended_day(run, service, tmp_path)

    every = {str(path.relative_to(SCRIPTS)) for path in SCRIPTS.glob("*/*.sh")}
    assert run.ran == every


def registry_day(run: Scripts, tmp_path: Path) -> int:
    engine = run("ai_engines/create.sh", "Scripted engine")
    assert run("ai_engines/update.sh", engine["id"])["caveats"]
    assert run("ai_engines/get.sh", engine["id"])["name"] == "Scripted engine"
    assert run("ai_engines/list.sh", "name=Scripted%20engine")["count"] == 1
    version = run("ai_engines_versions/create.sh", engine["id"])
    run("ai_engines_versions/update.sh", version["id"])
    run("ai_engines_versions/get.sh", version["id"])
    assert run("ai_engines_versions/list.sh", f"ai_engine={engine['id']}")["count"] == 1
    assert "epochs" in run("ai_engines_versions/download_default_user_vars.sh", version["id"])

    contents = zip_of(tmp_path / "model.zip", weights="1 2 3")
    model = run("ai_models/create.sh", version["id"], contents)
    again = run("ai_models/update_or_create.sh", version["id"], contents)
    assert again["id"] == model["id"]
    run("ai_models/update.sh", model["id"])
    run("ai_models/get.sh", model["id"])
    assert run("ai_models/list.sh", f"ai_engine_version={version['id']}")["count"] == 1
    run.text("ai_models/download_contents.sh", model["id"], tmp_path / "back.zip")
    assert (tmp_path / "back.zip").read_bytes() == contents.read_bytes()
    assert "epochs" in run("ai_models/download_user_vars.sh", model["id"])

    metric = run("evaluation_metrics/create.sh", model["id"])
    assert run("evaluation_metrics/update_or_create.sh", model["id"], "auc", "0.95")["id"] == metric["id"]
    run("evaluation_metrics/update.sh", metric["id"])
    assert run("evaluation_metrics/get.sh", metric["id"])["value"] == 0.94
    run("evaluation_metrics/list.sh", "sort=-value")
    run.text("evaluation_metrics/delete.sh", metric["id"])

    stored = run("generic_files/create.sh", zip_of(tmp_path / "results.zip", **{"predictions.csv": "1,0.5\n"}))
    assert run("generic_files/listed_contents.sh", stored["id"]) == {"listed_contents": ["predictions.csv"]}
    single = run.text("generic_files/individual_contents_download.sh", stored["id"], "predictions.csv")
    assert single == "1,0.5\n"
    run.text("generic_files/packed_contents_download.sh", stored["id"], tmp_path / "packed.zip")
    run("generic_files/get.sh", stored["id"])
    run("generic_files/list.sh")
    run.text("generic_files/delete.sh", stored["id"])
    run.text("ai_models/delete.sh", model["id"])

    assert run.text("ai_engines/register_sample.sh") == run.text("ai_engines/register_sample.sh")
    spare = run("ai_engines/create.sh", "Spare engine")
    spare_version = run("ai_engines_versions/create.sh", spare["id"])
    run.text("ai_engines_versions/delete.sh", spare_version["id"])
    run.text("ai_engines/delete.sh", spare["id"])
    return int(version["id"])


def schema_day(run: Scripts, tmp_path: Path) -> None:
    assert run("schemas/list.sh", "type=individual")["count"] >= 5
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(run.text("schemas/download_auxiliary_file.sh", "training-from-scratch"))
    served = run("schemas/get.sh", "training-from-scratch")
    fields = ("type", "implementation", "description", "input_elements", "ai_elements", "output_elements")
    document = tmp_path / "schema.json"
    document.write_text(json.dumps({"name": "scripted"} | {field: served[field] for field in fields}))
    run("schemas/create.sh", document, manifest)
    assert run("schemas/update.sh", "scripted", manifest, '{"description": "Changed by hand."}')["version"] == 2
    assert [each["version"] for each in run("schemas/versions.sh", "scripted")["results"]] == [2, 1]
    run.text("schemas/delete.sh", "scripted")


def execution_day(run: Scripts, version: int, tmp_path: Path) -> None:
    assert run("executions/create_dry_run.sh", version)["manifest"]["kind"] == "Workflow"
    trained = run.flow("training_from_scratch", version)
    run.text("executions/wait.sh", trained["id"])
    trained = run("executions/get.sh", trained["id"])
    model = last_id(trained["output_elements"]["ai_model"]["ai_model"])
    assert run("executions/list.sh", "state=succeeded&schema=own-training-from-scratch")["count"] >= 1

    workflow = run("runs/list.sh", f"owner_id={trained['id']}")["results"][0]["name"]
    assert run("runs/get.sh", workflow)["phase"] in ("running", "succeeded")
    assert run("runs/manifest.sh", workflow)["kind"] == "Workflow"
    assert run.text("runs/events.sh", workflow)
    assert run.text("runs/nodes.sh", workflow)
    assert run.text("runs/logs.sh", workflow, "follow=true")

    assert "epochs" in run("executions/download_user_vars.sh", trained["id"])
    assert run("executions/retrieve_data_partner_information.sh", trained["id"])["patients"]
    assert run("executions/retrieve_workflow_parameter.sh", trained["id"])["value"]["data-partner-1"]
    further = run.flow("training_from_pretrained_model", version, model)
    evaluated = run.flow("evaluating_from_pretrained_model", version, model)
    external = external_data(tmp_path)
    inferred = run.flow("inferencing_from_pretrained_model", version, model, external)
    reported = run.flow("inferencing_with_report_metadata", version, model, external)
    run.text("executions/download_external_data.sh", reported["id"], tmp_path / "external-back.zip")
    assert (tmp_path / "external-back.zip").read_bytes() == external.read_bytes()
    run.text("executions/download_report_metadata.sh", reported["id"], tmp_path / "report.json")
    for execution in (further, evaluated, inferred, reported):
        run.text("executions/wait.sh", execution["id"])

    by_hand = run("executions/create_without_starting.sh", version)
    assert run("executions/update_to_running.sh", by_hand["id"])["state"]["status"] == "running"
    outputs = json.dumps({"ai_model": {"ai_model": model}})
    assert run("executions/update_to_succeeded.sh", by_hand["id"], outputs)["state"]["status"] == "succeeded"
    given_up = run("executions/create_without_starting.sh", version)
    assert run("executions/update_to_failed.sh", given_up["id"])["state"]["message"] == "given up by hand"
    stopped = run("executions/create_training_from_scratch.sh", version, "stopped by hand")
    run("executions/stop.sh", stopped["id"])
    assert run("executions/retry.sh", ended(run, stopped["id"]), "schema_version=1")["schema_version"] == 1
    run.text("executions/wait.sh", stopped["id"])
    assert [each["attempt"] for each in run("executions/get.sh", stopped["id"])["attempts"]] == [1, 2]
    run.text("executions/delete.sh", given_up["id"])


def joint_day(run: Scripts, version: int, tmp_path: Path) -> None:
    model = run("ai_models/list.sh", f"ai_engine_version={version}")["results"][0]["id"]
    external = external_data(tmp_path)
    for name in ("joint_breast_cancer_mammography", "joint_breast_cancer_mammography_on_one_node"):
        execution = run.flow(name, version, model, external)
        run.text("executions/wait.sh", execution["id"])
        file = run("executions/get.sh", execution["id"])["output_elements"]["generic_file"]["generic_file"]
        names = run("generic_files/listed_contents.sh", last_id(file))["listed_contents"]
        assert "medical-report/generic_file/predictions.csv" in names


def federated_day(run: Scripts, version: int, tmp_path: Path) -> None:
    together = run.flow("federated_training_from_scratch", version)
    run.text("executions/wait.sh", together["id"])
    trained = run("executions/get.sh", together["id"])
    model = last_id(trained["output_elements"]["ai_model"]["ai_model"])
    rounds = run("executions/rounds.sh", together["id"], "attempt=1")["rounds"]
    assert [each["is_evaluation"] for each in rounds] == [False, False, True]
    run.text("executions/rounds_plot.sh", together["id"], tmp_path / "rounds.png", "format=png")
    assert (tmp_path / "rounds.png").read_bytes().startswith(b"\x89PNG")

    further = run.flow("federated_training_from_pretrained_model", version, model)
    channel_day(run, further["id"], tmp_path)
    run.text("executions/progress.sh", further["id"])
    run("executions/update_role_to_failed.sh", further["id"])
    assert run("executions/get.sh", further["id"])["state"]["message"] == "given up by hand"


def channel_day(run: Scripts, execution_id: int, tmp_path: Path) -> None:
    workflow = run("runs/list.sh", f"owner_id={execution_id}")["results"][0]["name"]
    parameters = run("runs/manifest.sh", workflow)["spec"]["arguments"]["parameters"]
    channel = next(each["value"] for each in parameters if each["name"] == "execution_communicationAdapterId")
    end = time.monotonic() + 120
    # The channel is opened before the run is submitted.
    while not run("runs/get.sh", workflow)["submitted_at"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    while not (messages := run("channels/messages.sh", channel, "status", "after=-1&wait=20")["results"]):
        assert time.monotonic() < end
    first = messages[0]
    run.text("channels/content.sh", channel, "status", first["offset"], tmp_path / "word")
    assert (tmp_path / "word").read_bytes() == b"true"


def suspended_day(run: Scripts, service: LocalService, tmp_path: Path) -> None:
    document, manifest = tmp_path / "suspended.json", tmp_path / "suspended.yaml"
    document.write_text(
        '{"name": "suspended", "type": "individual", "implementation": "argo_workflows", "description": ""}'
    )
    manifest.write_text(SUSPENDED)
    run("schemas/create.sh", document, manifest)
    with service.session() as session:
        begun = session.post(f"{service.url}/api/executions/", json={"schema": "suspended"}, timeout=30).json()
    workflow = begun["attempts"][0]["run"].rstrip("/").rpartition("/")[2]

    wait_for_phases(run, workflow, {"approve": "Running", "approve-too": "Running"})
    assert run("runs/resume.sh", workflow, "approve")["events"][-1]["message"] == "Resumed approve."
    wait_for_phases(run, workflow, {"approve": "Succeeded", "approve-too": "Running"})
    run("runs/resume.sh", workflow)
    run.text("executions/wait.sh", begun["id"])
    assert run("executions/get.sh", begun["id"])["state"] == {"status": "succeeded"}


def wait_for_phases(run: Scripts, workflow: str, phases: dict[str, str]) -> None:
    end = time.monotonic() + 60
    while True:
        nodes = run("runs/nodes.sh", workflow)["results"]
        found = {node["display_name"]: node["phase"] for node in nodes if node["type"] == "Suspend"}
        if found == phases:
            return
        assert time.monotonic() < end, found
        time.sleep(0.1)


def ended(run: Scripts, execution_id: int) -> int:
    """Wait until the Workflow of an execution has ended, and return its id."""
    end = time.monotonic() + 60
    while not run("runs/list.sh", f"owner_id={execution_id}")["results"][0]["finished_at"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    return execution_id
