"""The client against a registry that answers over real HTTP."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from registry.client import (
    WAITING_FOR_EACH,
    AIEngineVersionInfo,
    AIModelInfo,
    RegistryClient,
    RegistryNotFound,
    RegistryUnavailable,
)
from tests.registry.samples import generic_file, metric, version
from tests.registry.samples import model as stored_model
from tests.services.certificates import Authority
from tests.services.tls import TlsProxy
from web.errors import ServiceUnavailable

VERSION = {
    "ai_engine": "http://elsewhere.example/api/ai_engines/4/",
    "container_version": "1.0",
    "max_iteration_time": 1200,
    "memory_request": "1Gi",
    "memory_limit": "2Gi",
    "cpu_request": "250m",
    "cpu_limit": "4000m",
    "functionalities": ["training_from_scratch"],
}
ENGINE = {"container_name": "sample-ai-engine", "role_type": "classification"}
MODEL = {"download_resume_retries": 4, "ai_engine_version": "http://elsewhere.example/api/ai_engines_versions/3/"}


class Registry(ThreadingHTTPServer):
    """A registry whose answers are set by path: (status, body), or a list of them, one for each call."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = {}
        self.seen = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    @property
    def hostname(self):
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.entered.set()
        self.server.go_on.wait(timeout=10)
        answer = self.server.answers.get(self.path, (404, {}))
        status, body = answer.pop(0) if isinstance(answer, list) else answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", "http://127.0.0.1:1/secret/")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def registry():
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(registry):
    client = RegistryClient(registry.hostname, token="secret")
    yield client
    client.close()


def test_a_version_comes_with_its_engine_from_the_same_host(registry, client):
    registry.answers = {"/api/ai_engines_versions/3/": (200, VERSION), "/api/ai_engines/4/": (200, ENGINE)}

    assert client.get_version(3) == AIEngineVersionInfo(
        id=3,
        container_version="1.0",
        container_name="sample-ai-engine",
        role_type="classification",
        max_iteration_time=1200,
        memory_request="1Gi",
        memory_limit="2Gi",
        cpu_request="250m",
        cpu_limit="4000m",
        functionalities=("training_from_scratch",),
        ai_engine_id=4,
    )
    assert [headers["Authorization"] for _, headers in registry.seen] == ["Bearer secret"] * 2


def test_a_model(registry, client):
    registry.answers = {"/api/ai_models/8/": (200, MODEL)}

    assert client.get_model(8) == AIModelInfo(id=8, download_resume_retries=4, ai_engine_version_id=3)


def named(model_id, patients, name="m", version=3):
    url = f"http://elsewhere.example/api/ai_engines_versions/{version}/"
    return {"id": model_id, "name": name, "ai_engine_version": url, "data_partners_patients": patients}


FIRST = "/api/ai_models/?name=m&ai_engine_version=3&sort=created_at&page=1&page_size=10"


def test_a_model_is_found_by_name_version_and_patients_whatever_their_order(registry, client):
    other, same = named(8, {"p1": ["1"]}), named(9, {"p2": ["3"], "p1": ["2", "1"]})
    registry.answers = {
        FIRST: (200, {"next": "http://elsewhere.example/?page=2", "results": [other]}),
        FIRST.replace("page=1", "page=2"): (200, {"next": None, "results": [same]}),
    }

    assert client.find_model("m", 3, {"p1": ["1", "2"], "p2": ["3"]}) == 9


def test_what_a_registry_without_filters_answers_is_looked_at(registry, client):
    rows = [named(7, {}, name="M"), named(8, {}, version=4), named(9, {"p1": ["1"]})]
    registry.answers = {FIRST: (200, {"next": None, "results": rows})}

    assert client.find_model("m", 3, {}) is None


@pytest.mark.parametrize(
    "answer", [(200, {}), (200, {"next": None, "results": [{}]}), (200, {"next": None, "results": [3]}), (404, {})]
)
def test_a_list_that_is_none_is_unavailable(registry, client, answer):
    registry.answers = {FIRST: answer}

    with pytest.raises(RegistryUnavailable):
        client.find_model("m", 3, {})


def test_without_a_token_none_is_sent(registry):
    registry.answers = {"/api/ai_models/8/": (200, MODEL)}
    client = RegistryClient(registry.hostname)

    client.get_model(8)
    client.close()

    assert "Authorization" not in registry.seen[0][1]


def test_what_is_not_there_is_told(client):
    with pytest.raises(RegistryNotFound, match="ai_models/8"):
        client.get_model(8)
    assert not client.has_model(8)
    assert not client.has_evaluation_metric(8)
    assert not client.has_generic_file(8)


def test_a_version_whose_engine_is_gone_names_the_engine(registry, client):
    registry.answers = {"/api/ai_engines_versions/3/": (200, VERSION)}

    with pytest.raises(RegistryNotFound, match="ai_engines/4"):
        client.get_version(3)


def test_an_overloaded_registry_is_asked_again(registry, client):
    registry.answers = {"/api/ai_models/8/": [(503, {}), (502, {}), (200, MODEL)]}

    assert client.has_model(8)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (503, {}),
        (401, {}),
        (302, {}),
        (200, b"<html>"),
        (200, []),
        (200, {}),
        (200, b"[" * 100_000),
        (200, {**MODEL, "ai_engine_version": "http://x/"}),
        (200, {**MODEL, "download_resume_retries": "many"}),
    ],
)
def test_no_sensible_answer_is_unavailable(registry, client, answer):
    registry.answers = {"/api/ai_models/8/": answer}

    with pytest.raises(RegistryUnavailable) as caught:
        client.get_model(8)
    assert isinstance(caught.value, ServiceUnavailable)
    assert {path for path, _ in registry.seen} == {"/api/ai_models/8/"}


def test_nobody_listening_is_unavailable(registry):
    client = RegistryClient("127.0.0.1:1")

    with pytest.raises(RegistryUnavailable):
        client.get_model(8)
    client.close()


def test_a_silent_registry_is_unavailable(registry):
    registry.go_on.clear()
    client = RegistryClient(registry.hostname, read_seconds=0.05)

    with pytest.raises(RegistryUnavailable):
        client.get_model(8)
    client.close()


def test_questions_wait_in_line_and_are_refused_beyond_it(registry):
    registry.answers = {"/api/ai_models/8/": (200, MODEL)}
    registry.go_on.clear()
    client = RegistryClient(registry.hostname, concurrency=1)
    answered = []
    threads = [
        threading.Thread(target=lambda: answered.append(client.get_model(8).id)) for _ in range(1 + WAITING_FOR_EACH)
    ]
    threads[0].start()
    registry.entered.wait(timeout=10)
    for thread in threads[1:]:
        thread.start()
    while client.in_line < len(threads):
        time.sleep(0.001)

    with pytest.raises(RegistryUnavailable, match="Too many"):
        client.get_model(8)

    registry.go_on.set()
    for thread in threads:
        thread.join()
    assert answered == [8] * len(threads)
    client.close()


@pytest.mark.django_db(transaction=True)
def test_our_own_registry_answers_what_the_client_reads(api, registry):
    made = stored_model(version())
    score, archive = metric(made), generic_file()
    for path in (
        f"/api/ai_models/{made.pk}/",
        f"/api/ai_engines_versions/{made.ai_engine_version_id}/",
        f"/api/ai_engines/{made.ai_engine_version.ai_engine_id}/",
        f"/api/evaluation_metrics/{score.pk}/",
        f"/api/generic_files/{archive.pk}/",
        FIRST.replace("version=3", f"version={made.ai_engine_version_id}"),
    ):
        registry.answers[path] = (200, api.get(path).content)
    client = RegistryClient(registry.hostname)

    assert client.get_version(made.ai_engine_version_id).container_name == "sample-ai-engine"
    assert client.get_model(made.pk).ai_engine_version_id == made.ai_engine_version_id
    assert client.find_model("m", made.ai_engine_version_id, {"p2": ["3"], "p1": ["2", "1"]}) == made.pk
    assert client.has_evaluation_metric(score.pk)
    assert client.has_generic_file(archive.pk)
    client.close()


@pytest.fixture
def tls(registry, tmp_path):
    authority = Authority(tmp_path)
    with TlsProxy(authority.issue("registry"), registry.server_address) as proxy:
        yield proxy, authority


def test_a_registry_that_speaks_https_is_asked_so(registry, tls):
    proxy, authority = tls
    registry.answers["/api/ai_models/5/"] = (200, MODEL)
    client = RegistryClient(proxy.hostname, scheme="https", authority=authority.certificate.read_text(), token="t")
    assert client.get_model(5) == AIModelInfo(5, 4, 3)
    assert registry.seen[0][1]["X-Forwarded-Proto"] == "https"
    client.close()


def test_a_registry_whose_certificate_nobody_we_know_has_signed_gets_no_token(registry, tls):
    proxy, _ = tls
    client = RegistryClient(proxy.hostname, scheme="https", token="t")
    with pytest.raises(RegistryUnavailable, match="certificate"):
        client.get_model(5)
    assert not registry.seen
    client.close()
