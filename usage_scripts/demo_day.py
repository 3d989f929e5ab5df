"""The demo's client of the public HTTP API, and the AI services that it runs."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from runtime.sample_ai_engine import sample_data
from usage_scripts.demo_view import View, view_of

RETRY_AFTER_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
DATA_PARTNERS = ("data-partner-1", "data-partner-2", "data-partner-3")
DESCRIPTOR = "main-ai-engine"
FUNCTIONALITIES = (
    "training_from_scratch",
    "training_from_pretrained_model",
    "evaluating_from_pretrained_model",
    "merging_models",
    "inferencing_from_pretrained_model",
)
Json = dict[str, Any]


class DemoFailedError(Exception):
    """A call or an execution of the demo failed; the text says which."""


class Api:
    """The service's public HTTP API, as any client uses it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the API and return the JSON answer; wait while the service restarts.

        Repeating a request is safe: requests that create objects carry an Idempotency-Key.
        Raises DemoFailedError with the service's answer.
        """
        url = path if path.startswith("http") else f"{self.url}/api/{path}"
        headers = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        for patience in (*RETRY_AFTER_SECONDS, None):
            try:
                answer = self._session.request(method, url, timeout=30, headers=headers, **arguments)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                if patience is None:
                    raise DemoFailedError(f"{method} {url}: {error}") from error
            else:
                if answer.ok:
                    return answer.json() if answer.content else None
                if patience is None or answer.status_code not in (409, 502, 503):
                    raise DemoFailedError(f"{method} {url} returned {answer.status_code}: {answer.text}")
            time.sleep(patience)
        raise AssertionError("unreachable: the last try returns or raises")

    def post(self, path: str, document: Json, files: dict[str, bytes] | None = None) -> Any:
        return self.send("POST", path, document, files)

    def send(self, method: str, path: str, document: Json, files: dict[str, bytes] | None = None) -> Any:
        if not files:
            return self.call(method, path, json=document)
        parts = {name: (name, content) for name, content in files.items()}
        return self.call(method, path, data={"data": json.dumps(document)}, files=parts)


def register_sample_ai_engine(api: Api) -> int:
    """Register the sample AI engine with this installation's registry, once, and return its version's id."""
    found = api.call("GET", "ai_engines/", params={"name": "Sample AI engine"})["results"]
    engine = found[0] if found else api.post("ai_engines/", sample_data.AI_ENGINE)
    user_vars = json.dumps(sample_data.USER_VARS).encode()
    files = {f"default_user_vars_{functionality}": user_vars for functionality in FUNCTIONALITIES}
    versions = api.call("GET", "ai_engines_versions/", params={"ai_engine": engine["id"]})["results"]
    if not versions:
        version = sample_data.AI_ENGINE_VERSION | {"ai_engine": engine["id"], "functionalities": list(FUNCTIONALITIES)}
        return int(api.post("ai_engines_versions/", version, files)["id"])
    version = versions[0]
    new = [each for each in FUNCTIONALITIES if each not in version["functionalities"]]
    if new:
        # An earlier demo on the same data may have registered it with fewer functionalities.
        changed = {"functionalities": [*version["functionalities"], *new]}
        files = {f"default_user_vars_{functionality}": user_vars for functionality in new}
        api.send("PATCH", f"ai_engines_versions/{version['id']}/", changed, files)
    return int(version["id"])


@dataclass(frozen=True)
class Service:
    """One AI service to run: a Schema's name, its start model, and its inputs.

    `engines` are the descriptors of its AI engines, which are all the same version with the same model.
    """

    title: str
    schema: str
    ai_model: int | None = None
    elements: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    user_vars: Mapping[str, Any] = field(default_factory=lambda: sample_data.USER_VARS)
    engines: Sequence[str] = (DESCRIPTOR,)


class Day:
    """The AI services of the demo, and their results."""

    def __init__(self, api: Api, version: int, console: Console, patience_seconds: float) -> None:
        self._api = api
        self._version = version
        self._console = console
        self._patience_seconds = patience_seconds
        self.summary = Table("AI service", "execution", "seconds", "model registry", title="Stored")
        self.metrics = Table("model", "metric", "value on held-back patients", title="Metrics")

    def run(self, service: Service) -> Json:
        """Run one AI service, and return its execution once it has succeeded."""
        return self.run_together([service])[0]

    def run_together(self, services: Sequence[Service]) -> list[Json]:
        """Run AI services in parallel, show their steps as they change; return their executions in the same order.

        Raises DemoFailedError where one does not succeed.
        """
        started = time.monotonic()
        followed = [_Followed(service, self._post(service)) for service in services]
        with view_of(self._console) as view:
            while not all(each.done for each in followed):
                for each in followed:
                    if not each.done:
                        self._look(view, each, time.monotonic() - started)
                time.sleep(0.2)
        for each in followed:
            if each.status != "succeeded":
                raise DemoFailedError(f"{each.service.title} failed: {each.execution['state']}")
            stored = _by_kind(_resources(each.execution["output_elements"]))
            self.summary.add_row(each.service.title, str(each.execution["id"]), f"{each.seconds:.1f}", stored)
        return [each.execution for each in followed]

    def values(self, execution: Json) -> dict[str, float]:
        """Return the metrics that an evaluation stored, by name."""
        stored = execution["output_elements"]["evaluation_metrics"]
        found = [self._api.call("GET", _here(self._api, each["evaluation_metric"])) for each in stored]
        return {metric["name"]: metric["value"] for metric in found}

    def results(self, execution: Json) -> list[str]:
        """Return the names of the files that an inference stored."""
        file = _here(self._api, execution["output_elements"]["generic_file"]["generic_file"])
        names: list[str] = self._api.call("GET", f"{file}listed_contents/")["listed_contents"]
        return names

    def add_metrics(self, model: str, execution: Json) -> None:
        for name, value in self.values(execution).items():
            self.metrics.add_row(model, name, f"{value:.4f}")

    def _post(self, service: Service) -> Json:
        model = {} if service.ai_model is None else {"ai_model": service.ai_model}
        engines = [{"descriptor": descriptor, "version": self._version, **model} for descriptor in service.engines]
        document = {"schema": service.schema, "ai_elements": {"ai_engines": engines}, **service.elements}
        user_vars = json.dumps(service.user_vars).encode()
        parts = {**{f"{descriptor}_version_user_vars": user_vars for descriptor in service.engines}, **service.files}
        execution: Json = self._api.post("executions/", document, parts)
        for warning in execution.get("warnings", ()):
            self._console.print(f"[yellow]{service.title}:[/yellow] {warning}")
        return execution

    def _look(self, view: View, followed: _Followed, seconds: float) -> None:
        execution = followed.execution = self._api.call("GET", f"executions/{followed.execution['id']}/")
        view.show(followed.key, followed.service.title, f"{followed.status}{self._round(execution)}", done=False)
        over = self._show_steps(view, execution)
        # The execution ends with its callback; its last step and the exit handler end a moment later.
        followed.done = followed.status == "failed" or (followed.status == "succeeded" and over)
        followed.seconds = seconds
        if followed.done:
            view.show(followed.key, followed.service.title, followed.status, done=True)
        elif seconds > self._patience_seconds:
            late = f"{followed.service.title} did not end within {self._patience_seconds:.0f} s"
            raise DemoFailedError(f"{late}: {execution['state']}")

    def _round(self, execution: Json) -> str:
        """Return which round a federated training is in."""
        if "federated_learning_configuration" not in execution["input_elements"]:
            return ""
        rounds = self._api.call("GET", f"executions/{execution['id']}/rounds/")["rounds"]
        if not rounds:
            return ""
        number = execution["input_elements"]["federated_learning_configuration"]["number_iterations"]
        last = rounds[-1]
        return ", evaluating" if last["is_evaluation"] else f", round {last['round'] + 1} of {number}"

    def _show_steps(self, view: View, execution: Json) -> bool:
        """Show the steps of the execution's Workflow; return whether it has ended."""
        query = {"owner_kind": "execution", "owner_id": execution["id"]}
        runs = self._api.call("GET", "runs/", params=query)["results"]
        if not runs:
            return False
        run = self._api.call("GET", f"runs/{runs[0]['name']}/")
        for node in run["nodes"]:
            if node["type"] != "Pod":
                continue
            done = node["phase"] in ("Succeeded", "Failed", "Error", "Skipped", "Omitted")
            view.show(node["id"], f"  {node['display_name']}", node["phase"].lower(), done)
        return run["finished_at"] is not None


def _here(api: Api, url: str) -> str:
    """Return a registry URL with the address that this client uses."""
    return f"{api.url}/api/{url.split('/api/', 1)[1]}"


def _resources(value: Any) -> list[str]:
    """Return the registry's resources that an answer names, as paths below /api/."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [resource for item in items for resource in _resources(item)]
    return [value.split("/api/", 1)[1]] if isinstance(value, str) and "/api/" in value else []


def _by_kind(resources: Sequence[str]) -> str:
    """Return paths such as `ai_models/3/` as one text, the ids of each kind behind its name."""
    ids: dict[str, list[str]] = {}
    for resource in resources:
        kind, number = resource.strip("/").split("/")
        ids.setdefault(kind, []).append(number)
    return "; ".join(f"{kind} {', '.join(numbers)}" for kind, numbers in ids.items())


def model_id(execution: Json) -> int:
    return int(execution["output_elements"]["ai_model"]["ai_model"].rstrip("/").rsplit("/", 1)[1])


def platform_data(patients: Json) -> Json:
    """Return the input elements of patients by data partner."""
    return {"platform_data": {"data_partners_patients": patients}}


def ai_model(name: str) -> Json:
    return {"ai_model": {"name": name, "description": "Made by the demo."}}


class _Followed:
    """An execution that is followed."""

    def __init__(self, service: Service, execution: Json) -> None:
        self.service, self.execution = service, execution
        self.key = f"execution {execution['id']}"
        self.done = False
        self.seconds = 0.0

    @property
    def status(self) -> str:
        return str(self.execution["state"]["status"])
