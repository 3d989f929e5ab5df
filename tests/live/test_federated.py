"""Federated trainings over the local engine: real managers, AI engines and channels."""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from runtime.sample_ai_engine import sample_data
from tests.live.federated import ONE, OTHER, ROUNDS, SLOW, channel_of, ended, post, rounds, run_of, wait_for
from usage_scripts.demo_day import Api, model_id
from usage_scripts.local_service import LocalService

pytestmark = pytest.mark.live


@pytest.fixture
def api(service: LocalService) -> Api:
    return Api(service.url, service.token)


def kill_pod(api: Api, execution: Any, role: str) -> None:
    """Kill everything in the pod of a role, which its command line begins with."""
    channel = channel_of(api, execution)
    marks = {"server": ["server", channel], ONE: ["client", channel, ONE], OTHER: ["client", channel, OTHER]}[role]
    wanted = "\0".join(marks).encode()
    spaces = {namespace_of(pid) for pid in processes() if wanted in read(pid, "cmdline")}
    spaces -= {namespace_of(os.getpid()), ""}
    assert spaces
    for pid in processes():
        if namespace_of(pid) in spaces:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def namespace_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return ""


def test_partners_train_together_and_go_on_from_there(api: Api) -> None:
    first = ended(api, post(api))

    assert first["state"]["status"] == "succeeded", first["state"]
    assert len(first["output_elements"]["evaluation_metrics"]) == 2 * 5
    shown = rounds(api, first)
    assert [(each["answered"], each["failed"]) for each in shown["rounds"]] == [([ONE, OTHER], {})] * (ROUNDS + 1)
    assert [each["is_evaluation"] for each in shown["rounds"]] == [False] * ROUNDS + [True]
    assert all(set(each["metrics"]) == {ONE, OTHER} for each in shown["rounds"])
    assert shown["server"]["bytes_received"] > 0
    wait_for("the clients' end", lambda: {each["state"] for each in rounds(api, first)["data_partners"]} == {"ended"})

    further = ended(api, post(api, ai_model_id=model_id(first), aggregation="median"))

    assert further["state"]["status"] == "succeeded", further["state"]
    model = api.call("GET", f"ai_models/{model_id(further)}/")
    assert model["parent_ai_model"].endswith(f"/ai_models/{model_id(first)}/")
    assert set(model["data_partners_patients"]) == {ONE, OTHER}


@pytest.mark.parametrize("role", ["server", OTHER])
def test_a_pod_that_is_killed_in_a_round_takes_it_up_again(api: Api, role: str) -> None:
    execution = post(api, epochs=SLOW)
    wait_for("the second round", lambda: any(each["round"] == 1 for each in rounds(api, execution)["rounds"]))

    kill_pod(api, execution, role)

    last = ended(api, execution)
    assert last["state"]["status"] == "succeeded", last["state"]
    assert [each["answered"] for each in rounds(api, last)["rounds"]] == [[ONE, OTHER]] * (ROUNDS + 1)
    again = [node["display_name"] for node in run_of(api, execution)["nodes"] if node["display_name"].endswith("(1)")]
    assert len(again) == 1


def broken(patients: Any) -> Any:
    """Let the other partner's data have a value that no cell of a workbook holds."""
    patients = copy.deepcopy(patients)
    sheet = patients[OTHER]["patients"][0]["clinical_data"][sample_data.CANCER_TYPE][sample_data.SHEET_KEY]
    sheet[sample_data.LABEL_KEY] = ["benign", "malignant"]
    return patients


def test_data_that_cannot_be_prepared_ends_the_training_at_once(api: Api) -> None:
    execution = post(api, patients=broken(sample_data.load().partners))

    failed = ended(api, execution)

    assert failed["state"]["status"] == "failed"
    assert failed["state"]["message"].startswith(f"{OTHER}: ")
    assert f"{sample_data.LABEL_KEY}: must be a string" in failed["state"]["message"]


def test_a_training_that_may_goes_on_without_a_partner(api: Api) -> None:
    patients = sample_data.load().partners
    patients[OTHER]["patients"] = patients[OTHER]["patients"][:1]  # of one class only: nothing to learn from

    last = ended(api, post(api, patients=patients, on_missing_clients="continue", minimum_clients=1))

    assert last["state"]["status"] == "succeeded", last["state"]
    shown = rounds(api, last)["rounds"]
    assert shown[0]["answered"] == [ONE]
    assert OTHER in shown[0]["failed"]


def test_a_model_larger_than_declared_fails_the_training_with_both_numbers(api: Api) -> None:
    failed = ended(api, post(api, max_model_size=1))

    assert failed["state"]["status"] == "failed"
    assert "bytes as a zip; at most 1024 are allowed" in failed["state"]["message"]
