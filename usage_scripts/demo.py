"""Show one day of the service: train, evaluate, train on elsewhere, infer; all through the public HTTP API.

Run by `make demo`. Starts the whole service on a free port (data under DATA_DIR, `var` by default), registers the
sample AI engine, runs AI services on real patients (the Wisconsin diagnostic breast cancer data of scikit-learn, split
by patient), prints what came of it, and stops what it started. Exits 1 if anything failed.

With ENGINE=argo the Workflows run on the cluster of KUBECONFIG; with --url it asks a service that runs already.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from runtime.sample_ai_engine import sample_data
from usage_scripts.local_service import PROJECT, ServiceFailedError, local_service

# For one AI service: where a cluster starts the pods, images may have to be pulled first.
PATIENCE_SECONDS, PATIENCE_SECONDS_ON_A_CLUSTER = 300, 1800
RETRY_AFTER_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
DATA_PARTNERS = ("data-partner-1", "data-partner-2", "data-partner-3")
DESCRIPTOR = "main-ai-engine"
FUNCTIONALITIES = (
    "training_from_scratch",
    "training_from_pretrained_model",
    "evaluating_from_pretrained_model",
    "inferencing_from_pretrained_model",
)
Json = dict[str, Any]


class DemoFailedError(Exception):
    """Something the demo asked of the service did not work out; the text says what."""


class Api:
    """The service's public HTTP API, as any client sees it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the API and return the JSON it answers; a service that is being restarted is waited for.

        Saying a request again is safe: what creates something carries an Idempotency-Key.
        Raises DemoFailedError with what the service said.
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
                    raise DemoFailedError(f"{method} {url} was answered {answer.status_code}: {answer.text}")
            time.sleep(patience)
        raise AssertionError("unreachable: the last try returns or raises")

    def post(self, path: str, document: Json, files: dict[str, bytes] | None = None) -> Any:
        if not files:
            return self.call("POST", path, json=document)
        parts = {name: (name, content) for name, content in files.items()}
        return self.call("POST", path, data={"data": json.dumps(document)}, files=parts)


def register_sample_ai_engine(api: Api) -> int:
    """Register the sample AI engine with this installation's registry, once, and return its version's id."""
    found = api.call("GET", "ai_engines/", params={"name": "Sample AI engine"})["results"]
    engine = found[0] if found else api.post("ai_engines/", sample_data.AI_ENGINE)
    versions = api.call("GET", "ai_engines_versions/", params={"ai_engine": engine["id"]})["results"]
    if versions:
        return int(versions[0]["id"])
    user_vars = json.dumps(sample_data.USER_VARS).encode()
    version = sample_data.AI_ENGINE_VERSION | {"ai_engine": engine["id"], "functionalities": list(FUNCTIONALITIES)}
    files = {f"default_user_vars_{functionality}": user_vars for functionality in FUNCTIONALITIES}
    return int(api.post("ai_engines_versions/", version, files)["id"])


class Day:
    """The four AI services of the demo, and what each left behind."""

    def __init__(self, api: Api, version: int, console: Console, patience_seconds: float) -> None:
        self._api = api
        self._version = version
        self._console = console
        self._patience_seconds = patience_seconds
        self.summary = Table("AI service", "execution", "seconds", "what came of it", title="Stored")
        self.metrics = Table("model", "metric", "value on held-back patients", title="Metrics")

    def run(self, title: str, schema: str, *, ai_model: int | None = None, files: dict[str, bytes] | None = None,
            **elements: Json) -> Json:  # fmt: skip
        """Post an execution, show its steps as they change, and return it once it has succeeded."""
        engine: Json = {"descriptor": DESCRIPTOR, "version": self._version}
        if ai_model is not None:
            engine["ai_model"] = ai_model
        document = {"schema": schema, "ai_elements": {"ai_engines": [engine]}, **elements}
        user_vars = json.dumps(sample_data.USER_VARS).encode()
        parts = {f"{DESCRIPTOR}_version_user_vars": user_vars, **(files or {})}
        started = time.monotonic()
        execution = self._api.post("executions/", document, parts)
        for warning in execution.get("warnings", ()):
            self._console.print(f"[yellow]{title}:[/yellow] {warning}")
        execution = self._follow(title, execution)
        seconds = time.monotonic() - started
        if execution["state"]["status"] != "succeeded":
            raise DemoFailedError(f"{title} failed: {execution['state']}")
        stored = ", ".join(_resources(execution["output_elements"]))
        self.summary.add_row(title, str(execution["id"]), f"{seconds:.1f}", stored)
        return execution

    def add_metrics(self, model: str, execution: Json) -> None:
        for reference in execution["output_elements"]["evaluation_metrics"]:
            metric = self._api.call("GET", _here(self._api, reference["evaluation_metric"]))
            self.metrics.add_row(model, metric["name"], f"{metric['value']:.4f}")

    def _follow(self, title: str, execution: Json) -> Json:
        progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24),
                            TextColumn("{task.fields[state]}"), TimeElapsedColumn(), console=self._console)  # fmt: skip
        whole = progress.add_task(f"[bold]{title}", total=1, state="pending")
        steps: dict[str, Any] = {}
        give_up_at = time.monotonic() + self._patience_seconds
        with Live(progress, console=self._console, refresh_per_second=8):
            while True:
                execution = self._api.call("GET", f"executions/{execution['id']}/")
                status = execution["state"]["status"]
                over = self._show_steps(progress, steps, execution)
                # The execution has ended with its callback; its last step and the exit handler end a moment later.
                if status == "failed" or (status == "succeeded" and over):
                    progress.update(whole, state=status, completed=1)
                    break
                progress.update(whole, state=status)
                if time.monotonic() > give_up_at:
                    late = f"{title} did not end within {self._patience_seconds:.0f} s"
                    raise DemoFailedError(f"{late}: {execution['state']}")
                time.sleep(0.2)
        return execution

    def _show_steps(self, progress: Progress, steps: dict[str, Any], execution: Json) -> bool:
        """Show the steps of the execution's Workflow, and return whether it has ended."""
        query = {"owner_kind": "execution", "owner_id": execution["id"]}
        runs = self._api.call("GET", "runs/", params=query)["results"]
        if not runs:
            return False
        run = self._api.call("GET", f"runs/{runs[0]['name']}/")
        for node in run["nodes"]:
            if node["type"] not in ("Pod", "Container"):
                continue
            task = steps.get(node["id"])
            if task is None:
                task = steps[node["id"]] = progress.add_task(f"  {node['display_name']}", total=1, state="")
            done = node["phase"] in ("Succeeded", "Failed", "Error", "Skipped", "Omitted")
            progress.update(task, state=node["phase"].lower(), completed=1 if done else 0)
        return run["finished_at"] is not None


def _here(api: Api, url: str) -> str:
    """Return a registry URL as seen through the address that this client uses."""
    return f"{api.url}/api/{url.split('/api/', 1)[1]}"


def _resources(value: Any) -> list[str]:
    """Return the registry's resources that an answer names, as paths below /api/."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [resource for item in items for resource in _resources(item)]
    return [value.split("/api/", 1)[1]] if isinstance(value, str) and "/api/" in value else []


def _model_id(execution: Json) -> int:
    return int(execution["output_elements"]["ai_model"]["ai_model"].rstrip("/").rsplit("/", 1)[1])


def platform_data(partner: str, patients: Json) -> Json:
    return {"platform_data": {"data_partners_patients": {partner: patients}}}


def ai_model(name: str) -> Json:
    return {"ai_model": {"name": name, "description": "Made by the demo."}}


def the_day(day: Day, partners: Sequence[str]) -> None:
    """Train at one partner, evaluate on patients that took no part, train on at another partner, infer."""
    data = sample_data.load()
    first_patients, second_patients = data.partners.values()
    first_partner, second_partner, third_partner = partners
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    first = day.run(f"Training from scratch at {first_partner}", "training-from-scratch",
                    input_elements=platform_data(first_partner, first_patients),
                    output_elements=ai_model(f"first model {stamp}"))  # fmt: skip
    evaluated = day.run("Evaluating the first model", "evaluating-from-pretrained-model", ai_model=_model_id(first),
                        input_elements=platform_data(third_partner, data.held_back))  # fmt: skip
    day.add_metrics(f"first ({first_partner})", evaluated)
    second = day.run(f"Training on at {second_partner}", "training-from-pretrained-model", ai_model=_model_id(first),
                     input_elements=platform_data(second_partner, second_patients),
                     output_elements=ai_model(f"second model {stamp}"))  # fmt: skip
    evaluated = day.run("Evaluating the second model", "evaluating-from-pretrained-model", ai_model=_model_id(second),
                        input_elements=platform_data(third_partner, data.held_back))  # fmt: skip
    day.add_metrics(f"second (then {second_partner})", evaluated)
    day.run("Inference with the second model", "inferencing-from-pretrained-model", ai_model=_model_id(second),
            files={"external_data": data.external_data_zip})  # fmt: skip


def show(api: Api, options: argparse.Namespace, console: Console) -> None:
    day = Day(api, register_sample_ai_engine(api), console, options.patience)
    the_day(day, options.partners)
    console.print(day.metrics, day.summary)


def show_on_own_service(options: argparse.Namespace, console: Console) -> None:
    """Start the service, show the day on it, and say where everything is."""
    data_dir: Path = options.data_dir.resolve()
    started = time.monotonic()
    with local_service(data_dir, host=options.host, announce=options.announce) as service:
        console.print(f"The service runs at {service.url} (log: {service.log})")
        show(Api(service.url, service.token), options, console)
    console.print(
        f"Done in {time.monotonic() - started:.1f} s; the service has been stopped. All of it is in {data_dir}."
    )
    engine = os.environ.get("ENGINE", "local")
    again, host = f"make run{'' if engine == 'local' else f' ENGINE={engine}'}", urlsplit(service.url).hostname
    console.print(f"Look at it again with: [bold]{again}[/bold], then http://{host}:8900/admin/ or")
    curl = f'curl -H "Authorization: Bearer $(cat {data_dir}/token)" http://{host}:8900/api/executions/'
    console.print(f"  {curl}", soft_wrap=True)


def main() -> int:
    options = _parse()
    console = Console()
    try:
        if options.url:
            show(Api(options.url.rstrip("/"), options.token_file.read_text().strip()), options, console)
        else:
            show_on_own_service(options, console)
    except (DemoFailedError, ServiceFailedError, requests.RequestException, OSError) as error:
        console.print(f"[red]The demo failed:[/red] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("[red]The demo failed:[/red] interrupted")
        return 1
    return 0


def _parse() -> argparse.Namespace:
    on_a_cluster = os.environ.get("ENGINE", "local") != "local"
    patience = PATIENCE_SECONDS_ON_A_CLUSTER if on_a_cluster else PATIENCE_SECONDS
    parser = argparse.ArgumentParser("make demo", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("DATA_DIR", PROJECT / "var")))
    parser.add_argument("--host", default="", help="address that the service listens on")
    parser.add_argument("--announce", default="", metavar="HOST[:PORT]", help="where Workflows find the service")
    parser.add_argument("--url", default="", help="a service that runs already, instead of an own one")
    parser.add_argument("--token-file", type=Path, help="what to show it, with --url")
    parser.add_argument("--patience", type=float, default=patience, help="seconds for one AI service (%(default)s)")
    parser.add_argument(
        "--partners", type=_three_partners, default=DATA_PARTNERS, metavar="A,B,C",
        help="who trains, who trains on and who evaluates; one name does for all on a cluster of one node",
    )  # fmt: skip
    options = parser.parse_args()
    if options.url and not options.token_file:
        parser.error("--url needs --token-file")
    return options


def _three_partners(text: str) -> list[str]:
    names = text.split(",")
    return (names * len(DATA_PARTNERS))[: len(DATA_PARTNERS)]


if __name__ == "__main__":
    sys.exit(main())
