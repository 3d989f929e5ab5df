"""The calls of an existing step runner, replayed byte for byte, get the answers it needs."""

import json
from pathlib import Path

import pytest

from registry.models import AIModel, EvaluationMetric, GenericFile
from tests.registry.samples import model, version, zip_bytes

pytestmark = pytest.mark.django_db
CALLS = json.loads((Path(__file__).parent.parent / "fixtures/captures/step-runner.json").read_text())
BOUNDARY = "3f1c0b2d9a"


def body_of(call):
    chunks = []
    for part in call["parts"]:
        value = zip_bytes() if part["value"] == "<zip>" else part["value"].encode()
        chunks += [f"--{BOUNDARY}\r\n".encode(), "\r\n".join(part["headers"]).encode(), b"\r\n\r\n", value, b"\r\n"]
    return b"".join([*chunks, f"--{BOUNDARY}--\r\n".encode()])


def replay(client, call, **ids):
    if "parts" in call:
        content = body_of(call)
        for name, value in ids.items():
            content = content.replace(f'"{name}":1,'.encode(), f'"{name}":{value},'.encode())
        return client.generic(
            call["method"], call["path"], content, content_type=f"multipart/form-data; boundary={BOUNDARY}"
        )
    return client.generic(
        call["method"], call["path"], json.dumps({**call["body"], **ids}), content_type="application/json"
    )


def calls(path):
    return [call for call in CALLS if call["path"].startswith(path)]


def test_the_model_is_downloaded_with_the_length_that_head_gave(workflow):
    made = model()
    head, get = calls("/api/ai_models/3/download_ai_model/")

    length = workflow.head(head["path"].replace("/3/", f"/{made.pk}/"))["Content-Length"]
    answer = workflow.get(get["path"].replace("/3/", f"/{made.pk}/"))

    assert len(b"".join(answer.streaming_content)) == int(length)


def test_the_outcome_is_uploaded(workflow):
    ai_engine_version = version()

    [upload] = calls("/api/ai_models/update_or_create/")
    made = replay(workflow, upload, ai_engine_version=ai_engine_version.pk)
    scores = [
        replay(workflow, call, ai_model=made.json()["id"])
        for call in calls("/api/evaluation_metrics/update_or_create/")
    ]
    [upload] = calls("/api/generic_files/")
    archive = replay(workflow, upload)

    assert [made.status_code, *(score.status_code for score in scores), archive.status_code] == [201] * 4
    assert made.json()["id"] == AIModel.objects.get().pk
    assert [score.json()["id"] for score in scores] == list(
        EvaluationMetric.objects.order_by("pk").values_list("pk", flat=True)
    )
    assert archive.json()["id"] == GenericFile.objects.get().pk


def test_the_same_upload_again_is_an_update(workflow):
    ai_engine_version = version()
    [upload] = calls("/api/ai_models/update_or_create/")
    first = replay(workflow, upload, ai_engine_version=ai_engine_version.pk)

    second = replay(workflow, upload, ai_engine_version=ai_engine_version.pk)

    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
