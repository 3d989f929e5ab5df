"""Show one day of the service: train, evaluate, train further at a second partner, infer, and train together; all
through the API.

Run by `make demo`. Starts the whole service on a free port (data under DATA_DIR, `var` by default), registers the
sample AI engine, runs AI services on real patients (the Wisconsin diagnostic breast cancer data of scikit-learn, split
by patient), prints the results, and stops the service that it started. Exits 1 on a failure.

With --joint it also runs the pipelines of five AI engines. With ENGINE=argo the Workflows run on the cluster of
KUBECONFIG; with --url it calls a running service; with --channel kafka the models of the federated training go over the
brokers of FEDERATED_KAFKA_BOOTSTRAP_SERVERS.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
from rich.console import Console

from orchestrator_api.environment.choices import engine_of
from runtime.sample_ai_engine import sample_data
from usage_scripts.demo_day import (
    DATA_PARTNERS,
    Api,
    Day,
    DemoFailedError,
    Json,
    Service,
    ai_model,
    model_id,
    platform_data,
    register_sample_ai_engine,
)
from usage_scripts.demo_federated import train_together
from usage_scripts.demo_joint import run_pipelines
from usage_scripts.local_service import PROJECT, ServiceFailedError, local_service

# Limits for one AI service: on a cluster, images may have to be pulled first.
PATIENCE_SECONDS, PATIENCE_SECONDS_ON_A_CLUSTER = 300, 1800
CHANNELS = ("database", "kafka")


def the_day(day: Day, partners: Sequence[str]) -> tuple[Json, int]:
    """Train at one partner, evaluate on held-back patients, train further at another partner, infer.

    Returns the evaluation of the first model, and the id of the second.
    """
    sample = sample_data.load()
    held_back = sample.held_back
    first_patients, second_patients = sample.partners.values()
    first_partner, second_partner, third_partner = partners
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")

    def training(where: str, schema: str, data: Json, name: str, model: int | None = None) -> Service:
        elements = {"input_elements": platform_data(data), "output_elements": ai_model(f"{name} {stamp}")}
        return Service(where, schema, model, elements)

    def evaluation(title: str, model: Json) -> Service:
        elements = {"input_elements": platform_data({third_partner: held_back})}
        return Service(title, "evaluating-from-pretrained-model", model_id(model), elements)

    first = day.run(training(f"Training from scratch at {first_partner}", "training-from-scratch",
                             {first_partner: first_patients}, "first model"))  # fmt: skip
    evaluated = day.run(evaluation("Evaluating the first model", first))
    day.add_metrics(f"first ({first_partner})", evaluated)
    second = day.run(training(f"Training further at {second_partner}", "training-from-pretrained-model",
                              {second_partner: second_patients}, "second model", model_id(first)))  # fmt: skip
    day.add_metrics(f"second (then {second_partner})", day.run(evaluation("Evaluating the second model", second)))
    day.run(Service("Inference with the second model", "inferencing-from-pretrained-model", model_id(second),
                    files={"external_data": sample.external_data_zip}))  # fmt: skip
    return evaluated, model_id(second)


def show(api: Api, options: argparse.Namespace, console: Console) -> None:
    day = Day(api, register_sample_ai_engine(api), console, options.patience)
    first, model = the_day(day, options.partners)
    if options.joint:
        run_pipelines(day, model)
    tables = [day.metrics, day.summary]
    if len(set(options.partners[:2])) == 2:
        tables.append(train_together(day, options.partners, first))
    console.print(*tables)


def show_on_own_service(options: argparse.Namespace, console: Console) -> None:
    """Start the service, run the demo on it, and print its addresses."""
    data_dir: Path = options.data_dir.resolve()
    started = time.monotonic()
    channel = {"FEDERATED_ADAPTER": options.channel} if options.channel else {}
    with local_service(data_dir, host=options.host, announce=options.announce, **channel) as service:
        _say(console, f"The service is running at {service.url} (log: {service.log}).")
        api = Api(service.url, service.token)
        if left := _under_way(api):
            _say(console, f"Executions of an earlier start that continue: {', '.join(left)}.")
        try:
            show(api, options, console)
        except KeyboardInterrupt:
            _say(console, f"Interrupted. Executions in progress: {', '.join(_under_way(api)) or 'none'}.")
            raise
    _say(
        console, f"Done in {time.monotonic() - started:.1f} s. The service has been stopped. Its data is in {data_dir}."
    )
    host = urlsplit(service.url).hostname
    _say(console, f"To look at it again: {_again(data_dir)}, then http://{host}:8900/admin/ or")
    _say(console, f'  curl -H "Authorization: Bearer $(cat {shlex.quote(f"{data_dir}/token")})" '
                  f"http://{host}:8900/api/executions/")  # fmt: skip


def _again(data_dir: Path) -> str:
    engine, here = engine_of(os.environ), os.environ.get("DATA_DIR")
    words = ["make run", *([f"ENGINE={engine}"] if engine != "local" else [])]
    if data_dir != PROJECT / "var" and str(data_dir) != here:
        words.append(f"DATA_DIR={shlex.quote(str(data_dir))}")
    return " ".join(words)


def _under_way(api: Api) -> list[str]:
    """Return the ids of the executions that have not ended, oldest first."""
    found = [api.call("GET", "executions/", params={"state": state})["results"] for state in ("pending", "running")]
    return [str(number) for number in sorted(execution["id"] for page in found for execution in page)]


def _say(console: Console, text: str) -> None:
    """Print a line unwrapped: a terminal wraps it, and a pipe gets it whole."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def main() -> int:
    options = _parse()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The reader of a pipe gets each line at once.
        sys.stdout.reconfigure(line_buffering=True)
    console = Console()
    try:
        if options.url:
            show(Api(options.url.rstrip("/"), options.token_file.read_text().strip()), options, console)
        else:
            show_on_own_service(options, console)
    except (DemoFailedError, ServiceFailedError, requests.RequestException, OSError) as error:
        _say(console, f"The demo failed: {error}")
        return 1
    except KeyboardInterrupt:
        if options.url:
            _say(console, f"Interrupted. Executions in progress continue in the service at {options.url}.")
        else:
            data_dir = options.data_dir.resolve()
            _say(console, f"The service has been stopped. Its data is in {data_dir}.")
            _say(
                console,
                f"Executions in progress continue with the next start: {_again(data_dir)}, or run the demo again.",
            )
        return 130
    return 0


def _parse() -> argparse.Namespace:
    on_a_cluster = engine_of(os.environ) != "local"
    patience = PATIENCE_SECONDS_ON_A_CLUSTER if on_a_cluster else PATIENCE_SECONDS
    parser = argparse.ArgumentParser("make demo", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("DATA_DIR", PROJECT / "var")))
    parser.add_argument("--host", default="", help="address that the service listens on")
    parser.add_argument(
        "--announce", default="", metavar="HOST[:PORT]", help="the address at which Workflows reach the service"
    )
    parser.add_argument("--url", default="", help="use this running service instead of starting one")
    parser.add_argument("--token-file", type=Path, help="the file with a token for --url")
    parser.add_argument("--patience", type=float, default=patience, help="seconds for one AI service (%(default)s)")
    parser.add_argument(
        "--partners", type=_three_partners, default=DATA_PARTNERS, metavar="A,B,C",
        help="the data partners that train, train further and evaluate; one name is enough on a cluster of one node",
    )  # fmt: skip
    parser.add_argument("--joint", action="store_true", help="also run the pipelines of five AI engines")
    parser.add_argument("--channel", choices=CHANNELS, help="how the models of the federated training travel")
    options = parser.parse_args()
    if options.url and not options.token_file:
        parser.error("--url needs --token-file")
    if options.url and options.channel:
        parser.error("--channel cannot be used with --url: a running service has its own")
    brokers = ("FEDERATED_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS")
    if options.channel == "kafka" and not any(os.environ.get(name) for name in brokers):
        parser.error("--channel kafka needs FEDERATED_KAFKA_BOOTSTRAP_SERVERS (host:port, …)")
    return options


def _three_partners(text: str) -> list[str]:
    names = text.split(",")
    return (names * len(DATA_PARTNERS))[: len(DATA_PARTNERS)]


if __name__ == "__main__":
    sys.exit(main())
