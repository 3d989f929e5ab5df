"""Posting over HTTP: what is taken, and what bad input gets."""

from __future__ import annotations

import copy
import errno
import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from rest_framework.test import APIClient

from executions.models import Execution
from runs.models import WorkflowRun
from tests.executions.conftest import (
    FEDERATED,
    INFERENCE,
    MANIFEST,
    body,
    federated_document,
    inference_document,
    inference_files,
    multipart,
    training_document,
    training_files,
    upload,
    zip_bytes,
)

URL = "/api/executions/"


def nothing_is_stored(settings: Any) -> bool:
    files = [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] if settings.MEDIA_ROOT.exists() else []
    return not (Execution.objects.exists() or WorkflowRun.objects.exists() or files)


def pointers(response: Any) -> list[str]:
    return [error["pointer"] for error in response.json()["errors"]]


def test_files_are_kept_without_their_byte_order_mark(api: APIClient, make_schema: Any) -> None:
    make_schema("inference", INFERENCE)
    marked = {
        "report_metadata": upload(b'\xef\xbb\xbf{"patient": "x"}'),
        "main-ai-engine_version_user_vars": upload(b'\xef\xbb\xbf{"epochs": 3}'),
    }

    made = api.post(URL, multipart(inference_document(), inference_files() | marked)).json()

    read = [
        body(api.get(f"{URL}{made['id']}/{name}"))
        for name in ("download_report_metadata/", "download_user_vars/?descriptor=main-ai-engine")
    ]
    assert read == [b'{"patient": "x"}', b'{"epochs": 3}']


def test_a_training(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(URL, multipart(training_document(), training_files()))

    answer = response.json()
    url = f"http://testserver/api/executions/{answer['id']}/"
    assert response.status_code == 201
    assert response["Location"] == url
    run_url = f"http://testserver/api/runs/{WorkflowRun.objects.get().name}/"
    assert answer == {
        "url": url,
        "id": answer["id"],
        "schema": "http://testserver/api/schemas/training/",
        "schema_version": 1,
        "created_at": answer["created_at"],
        "updated_at": answer["updated_at"],
        "state": {"status": "pending"},
        "input_elements": {
            "platform_data": {"data_partners_patients": {"data-partner-1": ["004-000001", "004-000002"]}}
        },
        "ai_elements": {
            "ai_engines": [
                {
                    "descriptor": "main-ai-engine",
                    "version": "http://127.0.0.1:8900/api/ai_engines_versions/1/",
                    "version_user_vars": f"{url}download_user_vars/?descriptor=main-ai-engine",
                }
            ]
        },
        "output_elements": {
            "ai_model": {
                "name": "init_plt_data",
                "description": "initial model trained on platform data",
                "merge_type": None,
            }
        },
        "attempts": [{"attempt": 1, "schema_version": 1, "state": {"status": "pending"}, "run": run_url}],
        "warnings": [],
    }


def test_an_inference(api: APIClient, make_schema: Any) -> None:
    make_schema("inference", INFERENCE)

    answer = api.post(URL, multipart(inference_document(), inference_files())).json()

    assert answer["input_elements"] == {
        "external_data": {"contents": f"{answer['url']}download_external_data/"},
        "report_metadata": f"{answer['url']}download_report_metadata/",
    }
    assert answer["ai_elements"]["ai_engines"][0]["ai_model"] == "http://127.0.0.1:8900/api/ai_models/1/"
    assert answer["output_elements"] == {}


def test_a_federated_training(api: APIClient, make_schema: Any) -> None:
    make_schema("federated", FEDERATED)

    answer = api.post(URL, multipart(federated_document(), training_files())).json()

    assert answer["input_elements"]["federated_learning_configuration"] == {"number_iterations": 2}
    assert set(answer["input_elements"]["platform_data"]["data_partners_patients"]) == {
        "data-partner-1",
        "data-partner-2",
    }


def test_a_data_part_sent_as_a_file_is_read_too(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(URL, {"data": upload(json.dumps(training_document())), **training_files()})

    assert response.status_code == 201


def test_a_dry_run_answers_the_workflow(api: APIClient, make_schema: Any, settings: Any) -> None:
    make_schema()

    response = api.post(f"{URL}?dry_run=true", multipart(training_document(), training_files()))

    answer = response.json()
    assert response.status_code == 200
    assert answer["parameters"]["execution_dataPartner"] == "data-partner-1"
    assert answer["manifest"]["spec"]["arguments"]["parameters"]
    assert nothing_is_stored(settings)


def with_template(template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return the manifest of a training with one template more."""
    manifest = copy.deepcopy(MANIFEST)
    manifest["spec"] |= {"templates": [*manifest["spec"]["templates"], template], **spec}
    return manifest


def test_a_dry_run_says_what_the_engine_would_not_run(api: APIClient, make_schema: Any) -> None:
    template = {"name": "late", "timeout": "soon", "container": {"image": "busybox", "command": ["true"]}}
    schema = make_schema(manifest=with_template(template))

    answers = [
        api.post(f"{URL}{query}", multipart(training_document(), training_files())) for query in ("?dry_run=true", "")
    ]

    place = f"/spec/templates/{len(schema.manifest['spec']['templates']) - 1}/timeout"
    for response in answers:
        assert response.status_code == 400
        assert place in response.json()["errors"][0]["detail"]


def test_a_dry_run_says_that_dependencies_go_in_a_circle(api: APIClient, make_schema: Any) -> None:
    tasks = [{"name": name, "template": "circle", "depends": other} for name, other in ("ab", "ba")]
    make_schema(manifest=with_template({"name": "circle", "dag": {"tasks": tasks}}, onExit="circle"))

    response = api.post(f"{URL}?dry_run=true", multipart(training_document(), training_files()))

    assert response.status_code == 400
    assert "dependency cycle among: a, b" in response.json()["errors"][0]["detail"]


def test_a_dry_run_finds_the_same_faults(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(f"{URL}?dry_run=true", multipart(training_document(), {}))

    assert response.status_code == 400
    assert pointers(response) == ["/files/main-ai-engine_version_user_vars"]


def test_debug_starts_nothing(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(f"{URL}?debug=true", multipart(training_document(), training_files()))

    assert response.status_code == 201
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("dryrun=true", "/query/dryrun"), ("debug=1", "/query/debug"), ("dry_run=", "/query/dry_run")],
)
def test_a_query_that_is_not_understood_starts_nothing(
    api: APIClient, make_schema: Any, settings: Any, query: str, pointer: str
) -> None:
    make_schema()

    response = api.post(f"{URL}?{query}", multipart(training_document(), training_files()))

    assert (response.status_code, pointers(response)) == (400, [pointer])
    assert nothing_is_stored(settings)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "not JSON",
        "[]",
        '"text"',
        "null",
        "[" * 100_000,
        '{"schema": "training", "schema": "training"}',
        '{"schema": "training\\u0000"}',
        '{"schema": "\\ud800"}',
        '{"schema": NaN}',
        "{" + '"a":{' * 40 + "}" * 41,
    ],
)
def test_data_that_is_no_document(api: APIClient, make_schema: Any, settings: Any, data: str) -> None:
    make_schema()

    response = api.post(URL, multipart(data, training_files()))

    assert response.status_code == 400
    assert pointers(response)[0].startswith("/data")
    assert nothing_is_stored(settings)


def test_data_that_is_missing(api: APIClient, make_schema: Any) -> None:
    make_schema()

    assert pointers(api.post(URL, training_files())) == ["/data"]


@pytest.mark.parametrize("schema", ["nobody", "", 3, None, ["training"], {"a": 1}])
def test_a_schema_that_is_not_there(api: APIClient, make_schema: Any, schema: Any) -> None:
    make_schema()

    response = api.post(URL, multipart(training_document(schema=schema), training_files()))

    assert (response.status_code, pointers(response)) == (400, ["/data/schema"])


def test_a_schema_just_deleted(api: APIClient, make_schema: Any) -> None:
    make_schema().delete()

    response = api.post(URL, multipart(training_document(), training_files()))

    assert (response.status_code, pointers(response)) == (400, ["/data/schema"])


def escaping_zip() -> bytes:
    return zip_bytes(**{"../escaped.txt": "x"})


def bomb() -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as member:
        for _ in range(300):
            member.write(b"\0" * 1024**2)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("external_data", b""),
        ("external_data", b"PK is not enough"),
        ("external_data", zip_bytes()[:-10]),
        ("external_data", escaping_zip()),
        ("external_data", b"PK\5\6" + b"\0" * 18),
        ("report_metadata", b""),
        ("report_metadata", b"{"),
        ("report_metadata", b"\xff\xfe"),
        ("report_metadata", b"[" * 5000),
        ("main-ai-engine_version_user_vars", b""),
        ("main-ai-engine_version_user_vars", b"epochs = 3"),
        ("main-ai-engine_version_user_vars", b'{"a": Infinity}'),
    ],
)
def test_a_file_that_is_not_what_it_should_be(
    api: APIClient, make_schema: Any, settings: Any, part: str, content: bytes
) -> None:
    make_schema("inference", INFERENCE)

    response = api.post(URL, multipart(inference_document(), {**inference_files(), part: upload(content)}))

    assert response.status_code == 400
    assert all(pointer.startswith(f"/files/{part}") for pointer in pointers(response))
    assert nothing_is_stored(settings)


def test_an_archive_that_expands_without_end(api: APIClient, make_schema: Any, settings: Any) -> None:
    make_schema("inference", INFERENCE)

    response = api.post(URL, multipart(inference_document(), {**inference_files(), "external_data": upload(bomb())}))

    assert (response.status_code, pointers(response)) == (400, ["/files/external_data"])
    assert nothing_is_stored(settings)


def test_a_json_file_beyond_the_limit(api: APIClient, make_schema: Any, settings: Any) -> None:
    make_schema("inference", INFERENCE)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 5000
    files = {**inference_files(), "report_metadata": upload(b'"' + b"x" * 6000 + b'"')}

    response = api.post(URL, multipart(inference_document(), files))

    assert (response.status_code, pointers(response)) == (413, ["/files/report_metadata"])
    assert nothing_is_stored(settings)


def test_everything_wrong_comes_at_once(api: APIClient, make_schema: Any, settings: Any) -> None:
    make_schema("inference", INFERENCE)
    document = inference_document() | {"color": "red", "output_elements": {"ai_model": {"name": "x"}}}
    files = {"external_data": upload(b"no zip"), "stray": upload(b"x")}

    response = api.post(URL, multipart(document, files))

    assert set(pointers(response)) == {
        "/data/color",
        "/data/output_elements/ai_model",
        "/data/output_elements/ai_model/description",
        "/files/external_data",
        "/files/report_metadata",
        "/files/main-ai-engine_version_user_vars",
        "/files/stray",
    }
    assert nothing_is_stored(settings)


def test_faults_are_problem_details(api: APIClient, make_schema: Any) -> None:
    make_schema()

    response = api.post(URL, multipart({"schema": "training"}, {}))

    assert response["Content-Type"].startswith("application/problem+json")
    assert response.json()["code"] == "invalid-input"


def test_a_full_disk_is_said_to_be_one(
    api: APIClient, make_schema: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_schema("inference", INFERENCE)

    def full(self: FileSystemStorage, name: str, content: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    response = api.post(URL, multipart(inference_document(), inference_files()))

    assert response.status_code == 507
    assert nothing_is_stored(settings)


def test_two_equal_posts_are_two_executions(api: APIClient, make_schema: Any) -> None:
    make_schema()

    ids = {api.post(URL, multipart(training_document(), training_files())).json()["id"] for _ in range(2)}

    assert len(ids) == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml"])
def test_other_bodies_are_refused(api: APIClient, content_type: str) -> None:
    assert api.generic("POST", URL, "x", content_type=content_type).status_code == 415


def test_a_torn_multipart_body_is_a_fault_of_the_sender(api: APIClient) -> None:
    response = api.generic("POST", URL, "--x\r\nContent-Disp", content_type="multipart/form-data")

    assert response.status_code == 400
