"""Large documents do not fill the memory, however many come at once, and uploads that break off leave nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.live.test_bad_input import count, document, post
from tests.live.test_killed import process_ids, wait_for
from usage_scripts.demo_day import Api, register_sample_ai_engine
from usage_scripts.local_service import LocalService, local_service

pytestmark = pytest.mark.live

MEGABYTE = 1024**2
BODY_BYTES = 24 * MEGABYTE
AT_ONCE = 8
# Of the process that answers, over all tests of this module; without bounds it was 15 GB.
MOST_MEMORY = 1200 * MEGABYTE


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of its own, as it ships: its memory is measured."""
    with local_service(tmp_path_factory.mktemp("big")) as running:
        yield running


@pytest.fixture(scope="module")
def version(service: LocalService) -> int:
    return register_sample_ai_engine(Api(service.url, service.token))


def most_memory(service: LocalService) -> int:
    """Return the most bytes that the API's process ever had in memory."""
    status = Path(f"/proc/{_worker(service)}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def of_patients(version: int) -> str:
    """Return a document as a hospital may send it: patients with sixty values each."""
    content = document(version)
    values = {f"variable_{number}": f"value {number} of a patient" for number in range(60)}
    entry = content["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]
    one = {"id": "p0000000", "clinical_data": {"study": {"sheet": values}}}
    entry["patients"] = [one | {"id": f"p{number:07}"} for number in range(BODY_BYTES // len(json.dumps(one)))]
    return json.dumps(content)


def of_lists(version: int) -> str:
    """Return a document that takes as much memory for its size as can be."""
    text = json.dumps(document(version))
    return f'{text[:-1]}, "x": [{",".join(["[]"] * (BODY_BYTES // 3))}]}}'


def send(service: LocalService, text: str, as_form: bool) -> requests.Response:
    url, headers = f"{service.url}/api/executions/?debug=true", {"Authorization": f"Bearer {service.token}"}
    if not as_form:
        return requests.post(url, text, headers={**headers, "Content-Type": "application/json"}, timeout=120)
    parts = {"main-ai-engine_version_user_vars": ("v.json", b"{}")}
    return requests.post(url, data={"data": text}, files=parts, headers=headers, timeout=120)


@pytest.mark.parametrize(
    ("made", "as_form", "statuses"),
    [(of_patients, True, {201, 503}), (of_lists, True, {413, 503}), (of_lists, False, {413, 503})],
)
def test_many_large_documents_at_once_stay_within_bounds(
    service: LocalService, version: int, made: Any, as_form: bool, statuses: set[int]
) -> None:
    text = made(version)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: send(service, text, as_form), range(AT_ONCE)))

    assert {answer.status_code for answer in answers} <= statuses, [answer.text[:300] for answer in answers]
    assert any(answer.status_code != 503 for answer in answers)
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert int(answer.headers["Retry-After"]) > 0
    assert most_memory(service) < MOST_MEMORY


def test_small_requests_are_answered_beside_large_ones(service: LocalService, version: int) -> None:
    text, headers, times = of_patients(version), {"Authorization": f"Bearer {service.token}"}, []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sending = [pool.submit(send, service, text, True) for _ in range(AT_ONCE)]
        while not all(each.done() for each in sending):
            began = time.monotonic()
            assert requests.get(f"{service.url}/api/schemas/", headers=headers, timeout=60).status_code == 200
            times.append(time.monotonic() - began)
            time.sleep(0.1)

    assert sum(seconds < 2 for seconds in times) > len(times) * 0.9


def begin(service: LocalService, path: str, length: int, sent: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=60)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {service.token}\r\n"
        f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {length}\r\n\r\n"
        '--B\r\nContent-Disposition: form-data; name="contents"; filename="c.zip"\r\n\r\n'
    )
    connection.sendall(head.encode() + b"x" * sent)
    return connection


def held(service: LocalService) -> int:
    """Return how many bytes of uploads the API's process holds in files, with names or without."""
    folder = Path(f"/proc/{_worker(service)}/fd")
    links = [link for link in folder.iterdir() if link.is_symlink()]
    return sum(link.stat().st_size for link in links if str(service.data_dir / "uploads") in str(link.readlink()))


def test_an_upload_that_breaks_off_is_gone_at_once(service: LocalService) -> None:
    with begin(service, "/api/generic_files/", 100 * MEGABYTE, 20 * MEGABYTE):
        wait_for("the beginning of it", lambda: held(service) > 10 * MEGABYTE, 20)

    wait_for("its end", lambda: held(service) == 0, 5)
    assert list((service.data_dir / "uploads").iterdir()) == []


def test_who_may_not_send_it_is_told_before_the_body_is_taken(service: LocalService) -> None:
    head = "POST /api/generic_files/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(head.encode() + b"x" * 200_000)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert held(service) == 0


def test_nothing_large_is_taken_outside_of_the_api(service: LocalService) -> None:
    with begin(service, "/admin/login/", 100 * MEGABYTE, 200_000) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_killed_worker_leaves_no_upload(service: LocalService) -> None:
    folder = service.data_dir / "uploads"
    headers = {"Authorization": f"Bearer {service.token}", "Idempotency-Key": uuid.uuid4().hex}
    # A process has a name from its first request on that may have to be put in order.
    assert requests.post(f"{service.url}/api/executions/", json={}, headers=headers, timeout=30).status_code == 400
    worker, name = _worker(service), _name(service)
    with begin(service, "/api/generic_files/", 100 * MEGABYTE, 20 * MEGABYTE):
        wait_for("the beginning of it", lambda: held(service) > 10 * MEGABYTE, 20)
        # As a form's parser leaves it when its process dies while it writes.
        (folder / f"{name}.abcdefgh.upload").write_bytes(b"x")
        os.kill(worker, signal.SIGKILL)

    wait_for("the next worker", lambda: _is_alive(service), 60)
    assert list(folder.iterdir()) == []


def _worker(service: LocalService) -> int:
    """Return the process that answers requests: the youngest of gunicorn's."""
    return process_ids(service, "gunicorn")[-1]


def _name(service: LocalService) -> str:
    """Return the name under which the process that answers requests says that it lives."""
    for link in Path(f"/proc/{_worker(service)}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if link.readlink().parent == service.data_dir / "requests":
                return link.readlink().name
    raise AssertionError("the worker holds no file of its name")


def _is_alive(service: LocalService) -> bool:
    try:
        return requests.get(f"{service.url}/health/live", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_fifty_posts_with_one_key_make_one_execution(service: LocalService, version: int) -> None:
    before = count(service)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(service, document(version), "fifty", query=""), range(50)))

    assert set(Counter(answer.status_code for answer in answers)) <= {201, 409}
    assert count(service) - before == 1
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
