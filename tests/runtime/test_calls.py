from pathlib import Path

import pytest

from runtime.calls import Calls, CallSettings
from runtime.errors import CallError
from runtime.multipart import FilePart, MultipartBody
from tests.runtime.recording import Answer, RecordingServer, free_port, json_answer

CONTENT = bytes(range(256)) * 4000


def _ranges(server: RecordingServer) -> list[str | None]:
    return [
        headers.get("Range")
        for call, headers in zip(server.calls, server.headers, strict=True)
        if call["method"] == "GET"
    ]


def test_a_download_asks_for_the_length_first(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", CONTENT)

    calls.download(f"{server.url}/file", tmp_path / "got", 0)

    assert (tmp_path / "got").read_bytes() == CONTENT
    assert [call["method"] for call in server.calls] == ["HEAD", "GET"]
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_a_broken_download_resumes_where_it_broke(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", CONTENT, breaks=[1000, 500_000], etag='"v1"')

    calls.download(f"{server.url}/file", tmp_path / "got", 2)

    assert (tmp_path / "got").read_bytes() == CONTENT
    assert _ranges(server) == [None, "bytes=1000-", "bytes=501000-"]
    assert server.headers[-1]["If-Range"] == '"v1"'


def test_a_server_without_ranges_is_asked_for_all_again(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", CONTENT, breaks=[1000], ranges=False)

    calls.download(f"{server.url}/file", tmp_path / "got", 1)

    assert (tmp_path / "got").read_bytes() == CONTENT


@pytest.mark.parametrize("retries", [0, 2])
def test_a_download_that_breaks_too_often_fails(
    server: RecordingServer, calls: Calls, tmp_path: Path, retries: int
) -> None:
    server.file("/file", CONTENT, breaks=[10] * (retries + 1))

    with pytest.raises(CallError, match=f"{10 * (retries + 1)} of {len(CONTENT)} bytes"):
        calls.download(f"{server.url}/file", tmp_path / "got", retries)

    assert len(server.of("GET")) == retries + 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("announced", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_another_length_than_announced_is_refused(
    server: RecordingServer, calls: Calls, tmp_path: Path, announced: int
) -> None:
    server.file("/file", CONTENT, head_length=announced)

    with pytest.raises(CallError, match=str(announced)):
        calls.download(f"{server.url}/file", tmp_path / "got", 0)

    assert not (tmp_path / "got").exists()


def test_a_server_without_head_still_serves(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", CONTENT, head_status=405, breaks=[77])

    calls.download(f"{server.url}/file", tmp_path / "got", 1)

    assert (tmp_path / "got").read_bytes() == CONTENT


def test_an_empty_file_is_downloaded(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", b"")

    calls.download(f"{server.url}/file", tmp_path / "got", 0)

    assert (tmp_path / "got").read_bytes() == b""


@pytest.mark.parametrize(
    "transient", [Answer(502), Answer(503), Answer(504), Answer(drop=True)], ids=["502", "503", "504", "reset"]
)
def test_what_is_transient_is_repeated(server: RecordingServer, calls: Calls, transient: Answer) -> None:
    server.answer("PATCH", "/status", transient, transient, Answer())

    calls.send_data("PATCH", f"{server.url}/status", {"message": "m"})

    assert [server.data_of(index) for index in range(3)] == [{"message": "m"}] * 3


def test_a_refused_connection_is_repeated_then_fails(calls: Calls) -> None:
    with pytest.raises(CallError, match="connection refused"):
        calls.send_data("PATCH", f"http://127.0.0.1:{free_port()}/status", {})


def test_a_refusal_is_not_repeated_and_says_why(server: RecordingServer, calls: Calls) -> None:
    errors = [
        {"pointer": "/data/name", "detail": "must be shorter"},
        {"pointer": "/data/data_partners_patients", "detail": "004-000001 is unknown"},
    ]
    server.answer("POST", "/models", json_answer({"title": "Invalid input", "errors": errors}, 400))

    with pytest.raises(CallError) as caught:
        calls.send_json("POST", f"{server.url}/models", {})

    assert caught.value.status == 400
    assert "Invalid input (/data/name: must be shorter; /data/data_partners_patients)" in str(caught.value)
    assert len(server.calls) == 1


def test_a_redirected_write_is_refused(server: RecordingServer, calls: Calls) -> None:
    server.answer("PATCH", "/status", Answer(302, headers={"Location": "/elsewhere"}))

    with pytest.raises(CallError, match="302"):
        calls.send_data("PATCH", f"{server.url}/status", {})


def test_the_token_goes_with_every_call(server: RecordingServer, calls: Calls, tmp_path: Path) -> None:
    server.file("/file", b"x")
    server.answer("GET", "/json", json_answer({}))
    server.answer("DELETE", "/model", Answer(204, b""))

    calls.download(f"{server.url}/file", tmp_path / "got", 0)
    calls.get_json(f"{server.url}/json")
    calls.delete(f"{server.url}/model")

    assert [headers["Authorization"] for headers in server.headers] == ["Bearer callback-token"] * 4


def test_without_a_token_nothing_is_added(server: RecordingServer) -> None:
    server.answer("GET", "/json", json_answer({}))
    with Calls() as calls:
        calls.get_json(f"{server.url}/json")

    assert "Authorization" not in server.headers[0]


def test_what_is_gone_already_counts_as_deleted(server: RecordingServer, calls: Calls) -> None:
    server.answer("DELETE", "/model", Answer(404))

    calls.delete(f"{server.url}/model")

    assert server.of("DELETE") == ["/model"]


def test_an_answer_that_is_not_json_is_a_fault(server: RecordingServer, calls: Calls) -> None:
    server.answer("GET", "/json", Answer(body=b"<html>"))

    with pytest.raises(CallError, match="did not return JSON"):
        calls.get_json(f"{server.url}/json")


def test_a_malformed_address_is_a_fault(calls: Calls) -> None:
    with pytest.raises(CallError):
        calls.get_json("no-address")


def test_settings_come_from_the_environment() -> None:
    settings = CallSettings.from_environment({"STEP_RUNNER_CALL_ATTEMPTS": "2", "STEP_RUNNER_READ_TIMEOUT": "7"})

    assert (settings.attempts, settings.read_timeout, settings.first_delay) == (2, 7.0, 0.5)


@pytest.mark.parametrize("size", [-1, 1, 7, 1 << 20])
def test_a_multipart_body_has_the_length_it_says(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"12345" * 10)
    body = MultipartBody({"a": "é"}, [FilePart("contents", tmp_path / "file")])
    announced = len(body)

    read = b""
    while piece := body.read(size):
        read += piece

    assert len(read) == announced
    assert read.count(body.boundary.encode()) == 3
