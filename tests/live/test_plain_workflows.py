"""A Schema without AI engines, from its POST to the end of its execution, by the local engine."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from usage_scripts.local_service import LocalService

pytestmark = pytest.mark.live
MANIFEST = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: plain-}
spec:
  entrypoint: main
  templates:
  - name: main
    nodeSelector:
      "{{workflow.parameters.platform_centralNodeLabelKey}}": "{{workflow.parameters.platform_centralNodeLabelValue}}"
    container:
      image: busybox
      command: [sh, -c]
      args: ["echo execution {{workflow.parameters.execution_id}}; exit CODE"]
"""


def ended(service: LocalService, execution_id: int) -> Any:
    end = time.monotonic() + 60
    with service.session() as session:
        while time.monotonic() < end:
            answer = session.get(f"{service.url}/api/executions/{execution_id}/", timeout=30).json()
            if answer["state"]["status"] in ("succeeded", "failed"):
                return answer
            time.sleep(0.1)
    raise AssertionError(answer)


def test_a_plain_workflow_is_mended_by_its_next_version(service: LocalService) -> None:
    document = {"name": "plain", "type": "individual", "implementation": "argo_workflows", "description": ""}
    with service.session() as session:
        parts = {"auxiliary_file": ("m.yaml", MANIFEST.replace("CODE", "3"))}
        schemas, executions = f"{service.url}/api/schemas/", f"{service.url}/api/executions/"
        stored = session.post(schemas, data={"data": json.dumps(document)}, files=parts, timeout=30)
        assert stored.status_code == 201, stored.text
        begun = session.post(executions, json={"schema": "plain"}, timeout=30).json()
        failed = ended(service, begun["id"])

        parts = {"auxiliary_file": ("m.yaml", MANIFEST.replace("CODE", "0"))}
        patched = session.patch(stored.json()["url"], data={"data": "{}"}, files=parts, timeout=30)
        retry = session.post(f"{begun['url']}retry/?schema_version=2", timeout=30)
        succeeded = ended(service, begun["id"])

    assert failed["state"]["status"] == "failed"
    assert patched.json()["version"] == 2
    assert retry.status_code == 201, retry.text
    assert succeeded["state"] == {"status": "succeeded"}
    assert [each["schema_version"] for each in succeeded["attempts"]] == [1, 2]
