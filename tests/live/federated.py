"""Federated trainings of the sample AI engine, posted to a live service and followed to their end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from runtime.sample_ai_engine import sample_data
from usage_scripts.demo_day import DESCRIPTOR, Api, ai_model, platform_data, register_sample_ai_engine

ONE, OTHER = sample_data.PARTNERS
ROUNDS = 3
# So many epochs that a round lasts a while, for something to happen in it.
SLOW = 500


def post(api: Api, *, epochs: int = 3, ai_model_id: int | None = None, patients: Any = None, **options: Any) -> Any:
    engine = {"descriptor": DESCRIPTOR, "version": register_sample_ai_engine(api)}
    kind = "scratch"
    if ai_model_id is not None:
        engine["ai_model"] = ai_model_id
        kind = "pretrained-model"
    document = {
        "schema": f"training-from-{kind}-federated-learning",
        "ai_elements": {"ai_engines": [engine]},
        "input_elements": {
            **platform_data(patients or sample_data.load().partners),
            "federated_learning_configuration": {"number_iterations": ROUNDS, **options},
        },
        "output_elements": ai_model(f"trained together at {time.time_ns()}"),
    }
    user_vars = json.dumps(sample_data.USER_VARS | {"epochs": epochs}).encode()
    return api.post("executions/", document, {f"{DESCRIPTOR}_version_user_vars": user_vars})


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 600) -> Any:
    give_up_at = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up_at, f"{what} did not come within {seconds} s"
        time.sleep(0.05)
    return found


def run_of(api: Api, execution: Any) -> Any:
    query = {"owner_kind": "execution", "owner_id": execution["id"]}
    return api.call("GET", f"runs/{api.call('GET', 'runs/', params=query)['results'][0]['name']}/")


def ended(api: Api, execution: Any) -> Any:
    """Wait until an execution and its Workflow have ended, and return it."""
    wait_for("the Workflow's end", lambda: run_of(api, execution)["finished_at"])
    return api.call("GET", f"executions/{execution['id']}/")


def rounds(api: Api, execution: Any) -> Any:
    return api.call("GET", f"executions/{execution['id']}/rounds/")


def channel_of(api: Api, execution: Any) -> str:
    manifest = api.call("GET", f"runs/{run_of(api, execution)['name']}/manifest/")
    given = manifest["spec"]["arguments"]["parameters"]
    return next(str(each["value"]) for each in given if each["name"] == "execution_communicationAdapterId")
