"""Trainings from POST to model: each step in the container of its image, the service in those of its own."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtime.sample_ai_engine import sample_data
from tests.images.conftest import Cluster, Service
from tests.images.podman import Podman
from tests.live.federated import post, wait_for
from usage_scripts.demo_day import DESCRIPTOR, ai_model, model_id, platform_data, register_sample_ai_engine

pytestmark = pytest.mark.image

TRAINING_SECONDS = 900
Start = Callable[..., Cluster]


@pytest.fixture
def cluster(
    podman: Podman, service: Service, images: Mapping[str, str], shell_less: list[str], tmp_path: Path
) -> Start:
    """Give a function that starts the cluster; its pods have no shell."""
    return lambda *options: Cluster(podman, service, images, tmp_path, [*shell_less, *options])


def finished(service: Service, cluster: Cluster, execution: Any) -> Any:
    """Run what the service hands out until an execution and its Workflow have ended; return the execution."""

    def look() -> Any:
        cluster.turn()
        found = service.api.call("GET", f"executions/{execution['id']}/")
        over = found["state"]["status"] in ("succeeded", "failed") and not cluster.running
        return found if over else None

    return wait_for("the end of the training", look, TRAINING_SECONDS)


def logs(cluster: Cluster) -> str:
    return "\n".join(line.text for each in cluster.engine.list() for line in cluster.engine.logs(each.name))


def contents(service: Service, model: Any) -> list[str]:
    """Download a model from the registry, and return the names of what is in it."""
    session = service.api._session
    answer = session.get(f"{service.api.url}/api/ai_models/{model['id']}/download_contents/", timeout=60)
    answer.raise_for_status()
    return zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


def test_a_training_ends_as_a_model_in_the_registry(service: Service, cluster: Start) -> None:
    partner, patients = next(iter(sample_data.load().partners.items()))
    name = f"trained in containers {time.time_ns()}"
    document = {
        "schema": "training-from-scratch",
        "ai_elements": {"ai_engines": [{"descriptor": DESCRIPTOR, "version": register_sample_ai_engine(service.api)}]},
        "input_elements": platform_data({partner: patients}),
        "output_elements": ai_model(name),
    }
    user_vars = {f"{DESCRIPTOR}_version_user_vars": json.dumps(sample_data.USER_VARS).encode()}
    running = cluster()

    execution = finished(service, running, service.api.post("executions/", document, user_vars))

    assert execution["state"]["status"] == "succeeded", (execution["state"], logs(running))
    (model,) = service.api.call("GET", "ai_models/", params={"name": name})["results"]
    assert contents(service, model)


def test_partners_train_together_as_anybody_on_read_only_roots(service: Service, cluster: Start) -> None:
    running = cluster("--user", "12345", "--read-only", "--tmpfs", "/usr/application:rw,mode=1777")

    execution = finished(service, running, post(service.api))

    assert execution["state"]["status"] == "succeeded", (execution["state"], logs(running))
    model = service.api.call("GET", f"ai_models/{model_id(execution)}/")
    assert contents(service, model)
    rounds = service.api.call("GET", f"executions/{execution['id']}/rounds/")
    assert rounds["rounds"]
