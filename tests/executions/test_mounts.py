"""Two mounts at one path, where only the settings make them one: told at the POST."""

from __future__ import annotations

from typing import Any

import pytest

from executions.services import execution_preview
from tests.executions.conftest import make_schema, training_document, training_files  # noqa: F401
from web.errors import InvalidInput

pytestmark = pytest.mark.django_db
PATHS = [f"{{{{workflow.parameters.aiEngine_plaformVarsInputDataTraining{kind}}}}}" for kind in ("Tabular", "Imagery")]


def manifest() -> dict[str, Any]:
    mounts = [{"name": "data", "mountPath": path} for path in PATHS]
    template = {
        "name": "main",
        "volumes": [{"name": "data", "emptyDir": {}}],
        "container": {"image": "busybox", "volumeMounts": mounts},
    }
    spec = {"entrypoint": "main", "templates": [template]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec}


def test_paths_that_the_settings_make_one_are_refused(make_schema: Any) -> None:  # noqa: F811
    make_schema(manifest=manifest())

    with pytest.raises(InvalidInput) as caught:
        execution_preview(document=training_document(), files=training_files())

    (fault,) = caught.value.faults
    assert "/spec/templates/0/container/volumeMounts/1/mountPath" in fault.detail
    assert (
        "another volume or artifact is already at /tmp/input_elements/platform_data/ of this container"
    ) in fault.detail


def test_paths_that_differ_are_taken(make_schema: Any, settings: Any) -> None:  # noqa: F811
    settings.AI_ENGINE_PATHS = {**settings.AI_ENGINE_PATHS, "input_data_training_imagery": "/tmp/imagery/"}
    make_schema(manifest=manifest())

    assert execution_preview(document=training_document(), files=training_files())
