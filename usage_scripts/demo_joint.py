"""The demo's pipelines: five AI engines over the same patients, side by side in pods of their own and in one pod."""

from __future__ import annotations

import json

from runtime.sample_ai_engine import sample_data
from usage_scripts.demo_day import Day, DemoFailedError, Service

PIPELINE = "joint-breast-cancer-mammography"
WAYS = {"in pods of their own": PIPELINE, "in one pod": f"{PIPELINE}-on-one-node"}
ENGINES = ("breast-density", "breast-density-explanation", "birads", "birads-explanation", "medical-report")


def run_pipelines(day: Day, model: int) -> None:
    """Run both pipelines with a model of the registry's. Raises DemoFailedError where an AI engine left no results."""
    files = {
        "external_data": sample_data.load().external_data_zip,
        "report_metadata": json.dumps({"title": "Sample report"}).encode(),
    }
    for where, schema in WAYS.items():
        title = f"Five AI engines {where}"
        stored = day.results(day.run(Service(title, schema, model, files=files, engines=ENGINES)))
        missing = [each for each in ENGINES if not any(name.startswith(f"{each}/generic_file/") for name in stored)]
        if missing:
            raise DemoFailedError(f"{title} left no results of {', '.join(missing)}")
