"""The orchestrator's client of the model registry, over HTTP only: it may be this service or a remote one.

The error tree::

    web.errors.OrchestratorError
    ├── RegistryNotFound (400)             the registry has no such row; the caller knows the field with its id
    └── web.errors.ServiceUnavailable (503)
        └── RegistryUnavailable            no answer, an invalid answer, or too many requests now
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from registry.rules import Patients, data_digest
from web.errors import OrchestratorError, ServiceUnavailable

CONNECT_SECONDS = 3.0
WAITING_FOR_EACH = 4
WAIT_SECONDS = 10.0
# An AI engine hardly ever changes, and reading it takes a fifth of the time of a POST.
AI_ENGINE_GOOD_FOR_SECONDS = 10.0
MOST_AI_ENGINES_KEPT = 1000
READ_SECONDS = 10.0
TOTAL_SECONDS = 30.0
DEFAULT_CONCURRENCY = 16
_ROWS_OF_A_PAGE = 10
_MOST_PAGES = 1000
_MAX_ANSWER_BYTES = 64 * 1024**2
_CHUNK_BYTES = 64 * 1024
_ID_AT_THE_END = re.compile(r"/([0-9]{1,18})/?$")


class RegistryNotFound(OrchestratorError):
    code = "registry-not-found"
    status = 400
    title = "The model registry has no such resource."

    def __init__(self, resource: str, row_id: int) -> None:
        super().__init__(f"The model registry does not have {resource}/{row_id}.")
        self.resource = resource
        self.row_id = row_id


class RegistryUnavailable(ServiceUnavailable):
    code = "registry-unavailable"
    title = "The model registry does not answer."
    retry_after_seconds = 2


@dataclass(frozen=True)
class AIEngineVersionInfo:
    """A version of an AI engine, with data of its AI engine; times in seconds, sizes as Kubernetes quantities."""

    id: int
    container_version: str
    container_name: str
    role_type: str
    max_iteration_time: int
    memory_request: str
    memory_limit: str
    cpu_request: str
    cpu_limit: str
    functionalities: tuple[str, ...]
    ai_engine_id: int


@dataclass(frozen=True)
class AIModelInfo:
    id: int
    download_resume_retries: int
    ai_engine_version_id: int


class RegistryClient:
    """Reads a model registry. One client may be used by many threads.

    Connections are kept; reads are tried again if the registry is not reached, breaks off or is overloaded. At most
    `concurrency` requests are sent at once; four times as many wait for some seconds, and further ones are refused at
    once: the registry may be the same server and needs threads to answer. With the scheme `https` its certificate is
    verified by the system's authorities and by `authority` (PEM).
    """

    def __init__(
        self,
        hostname: str,
        *,
        token: str = "",
        scheme: str = "http",
        authority: str = "",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        self._root = f"{scheme}://{hostname}/api"
        self._total_seconds = total_seconds
        self._longest_line = concurrency * (1 + WAITING_FOR_EACH)
        self._lock = threading.Lock()
        self.in_line = 0
        self._ai_engines: dict[int, tuple[float, Mapping[str, Any]]] = {}
        self._places = threading.BoundedSemaphore(concurrency)
        self._pool = PoolManager(
            maxsize=concurrency,
            timeout=Timeout(connect=connect_seconds, read=read_seconds),
            retries=_retries(),
            ssl_context=_trusting(authority),
            headers={"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )

    def get_version(self, version_id: int) -> AIEngineVersionInfo:
        """Return a version and its AI engine; the data of the AI engine may be some seconds old.

        Raises RegistryNotFound and RegistryUnavailable.
        """
        version = self._get("ai_engines_versions", version_id)
        with _expected("ai_engines_versions", version_id):
            engine_id = _id_of(version["ai_engine"])
        engine = self._ai_engine(engine_id)
        with _expected("ai_engines_versions", version_id):
            return AIEngineVersionInfo(
                id=version_id,
                container_version=_text(version, "container_version"),
                container_name=_text(engine, "container_name"),
                role_type=_text(engine, "role_type"),
                max_iteration_time=int(version["max_iteration_time"]),
                memory_request=_text(version, "memory_request"),
                memory_limit=_text(version, "memory_limit"),
                cpu_request=_text(version, "cpu_request"),
                cpu_limit=_text(version, "cpu_limit"),
                functionalities=_texts(version, "functionalities"),
                ai_engine_id=engine_id,
            )

    def _ai_engine(self, engine_id: int) -> Mapping[str, Any]:
        read_at, engine = self._ai_engines.get(engine_id, (float("-inf"), {}))
        if time.monotonic() - read_at > AI_ENGINE_GOOD_FOR_SECONDS:
            engine = self._get("ai_engines", engine_id)
            if len(self._ai_engines) >= MOST_AI_ENGINES_KEPT:
                self._ai_engines.clear()
            self._ai_engines[engine_id] = (time.monotonic(), engine)
        return engine

    def get_model(self, model_id: int) -> AIModelInfo:
        """Return a model. Raises RegistryNotFound and RegistryUnavailable."""
        model = self._get("ai_models", model_id)
        with _expected("ai_models", model_id):
            return AIModelInfo(
                id=model_id,
                download_resume_retries=int(model["download_resume_retries"]),
                ai_engine_version_id=_id_of(model["ai_engine_version"]),
            )

    def find_model(self, name: str, version_id: int, patients: Patients) -> int | None:
        """Return the id of the model with this name, AI engine version and exactly these patients, or None.

        Raises RegistryUnavailable.
        """
        digest = data_digest(patients)
        for model in self._list("ai_models", {"name": name, "ai_engine_version": version_id}):
            with _expected("ai_models", "?name"):
                # A registry without these filters answers with all models.
                is_named_so = model["name"] == name and _id_of(model["ai_engine_version"]) == version_id
                if is_named_so and data_digest(model["data_partners_patients"] or {}) == digest:
                    return int(model["id"])
        return None

    def has_model(self, model_id: int) -> bool:
        """Return whether the model exists. Raises RegistryUnavailable."""
        return self._has("ai_models", model_id)

    def has_evaluation_metric(self, metric_id: int) -> bool:
        """Return whether the evaluation metric exists. Raises RegistryUnavailable."""
        return self._has("evaluation_metrics", metric_id)

    def has_generic_file(self, file_id: int) -> bool:
        """Return whether the generic file exists. Raises RegistryUnavailable."""
        return self._has("generic_files", file_id)

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.clear()

    def _has(self, resource: str, row_id: int) -> bool:
        try:
            self._get(resource, row_id)
        except RegistryNotFound:
            return False
        return True

    def _get(self, resource: str, row_id: int) -> Mapping[str, Any]:
        """Return one row. Only URLs of the configured host are requested, and redirects are not followed."""
        answer = self._read(resource, f"{row_id}/", row_id)
        if answer is None:
            raise RegistryNotFound(resource, row_id)
        return answer

    def _list(self, resource: str, filters: Mapping[str, str | int]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a list, page by page; a row may hold many patients, so pages are small."""
        for page in range(1, _MOST_PAGES + 1):
            query = urlencode({**filters, "sort": "created_at", "page": page, "page_size": _ROWS_OF_A_PAGE})
            answer = self._read(resource, f"?{query}", "?page")
            with _expected(resource, "?page"):
                if answer is None:
                    raise ValueError("no such list")
                yield from answer["results"]
                if not answer["next"]:
                    return
        raise RegistryUnavailable(f"The model registry's list of {resource} has too many pages.")

    def _read(self, resource: str, rest: str, words: int | str) -> dict[str, Any] | None:
        """Return the object at a path below a resource; None if it does not exist."""
        with self._place():
            status, content = self._exchange(f"{self._root}/{resource}/{rest}")
        if status == 404:
            return None
        if status in (401, 403):
            raise RegistryUnavailable("The model registry refuses the orchestrator's token (MAAS_API_TOKEN).")
        if status != 200:
            raise RegistryUnavailable(f"The model registry answered {status} to {resource}/{words}.")
        with _expected(resource, words):
            answer = json.loads(content)
            if not isinstance(answer, dict):
                raise TypeError("not an object")
            return answer

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Wait until a request may be sent. Raises RegistryUnavailable."""
        busy = "Too many requests to the model registry are waiting; try again."
        with self._lock:
            if self.in_line >= self._longest_line:
                raise RegistryUnavailable(busy)
            self.in_line += 1
        try:
            if not self._places.acquire(timeout=WAIT_SECONDS):
                raise RegistryUnavailable(busy)
            try:
                yield
            finally:
                self._places.release()
        finally:
            with self._lock:
                self.in_line -= 1

    def _exchange(self, url: str) -> tuple[int, bytes]:
        ends_at = time.monotonic() + self._total_seconds
        try:
            with self._pool.request("GET", url, redirect=False, preload_content=False) as response:
                content = bytearray()
                for chunk in response.stream(_CHUNK_BYTES):
                    content += chunk
                    if len(content) > _MAX_ANSWER_BYTES or time.monotonic() > ends_at:
                        raise RegistryUnavailable("The model registry's answer is too large or too slow.")
                return response.status, bytes(content)
        except HTTPError as error:
            if isinstance(error, MaxRetryError) and isinstance(error.reason, SSLError):
                raise RegistryUnavailable("The model registry's certificate cannot be verified.") from error
            raise RegistryUnavailable from error


def registry_client() -> RegistryClient:
    """Return this process's client of the model registry in the settings."""
    return _client(
        settings.MAAS_API_ADDRESS,
        settings.MAAS_API_TOKEN,
        settings.REGISTRY_CLIENT_CONCURRENCY,
        settings.MAAS_API_SCHEME,
        settings.API_CA,
    )


@lru_cache(maxsize=4)
def _client(hostname: str, token: str, concurrency: int, scheme: str, authority: str) -> RegistryClient:
    return RegistryClient(hostname, token=token, concurrency=concurrency, scheme=scheme, authority=authority)


def _trusting(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(cadata=authority)
    return context


def _retries() -> Retry:
    return Retry(
        total=2,
        read=1,
        redirect=False,
        allowed_methods=["GET"],
        status_forcelist=[502, 503, 504],
        backoff_factor=0.2,
        # A long Retry-After would block a thread of this service: the caller is told to try again instead.
        respect_retry_after_header=False,
        raise_on_status=False,
    )


@contextmanager
def _expected(resource: str, row_id: int | str) -> Iterator[None]:
    """Turn an answer that does not have the contract's form into RegistryUnavailable."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        words = f"The model registry's answer to {resource}/{row_id} does not have the expected form."
        raise RegistryUnavailable(words) from error


def _id_of(url: object) -> int:
    """Return the id at the end of a row's URL; its host is not trusted and not read."""
    if isinstance(url, int) and not isinstance(url, bool):
        return url
    match = _ID_AT_THE_END.search(urlsplit(str(url)).path)
    if match is None:
        raise ValueError("not the URL of a row")
    return int(match[1])


def _text(answer: Mapping[str, Any], field: str) -> str:
    value = answer[field]
    if not isinstance(value, str):
        raise TypeError(field)
    return value


def _texts(answer: Mapping[str, Any], field: str) -> tuple[str, ...]:
    values = answer[field]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(field)
    return tuple(values)
