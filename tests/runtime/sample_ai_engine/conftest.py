import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.sample_ai_engine.sample_data import USER_VARS, Split, load_patients, split_patients
from runtime.sample_ai_engine.variables import PATH_VARIABLE, PlatformVariables
from runtime.step_runner.actions.internal_data import lay_out
from tests.runtime.recording import free_port


@dataclass(frozen=True)
class Pod:
    """The folders of an AI engine's pod below a test's own folder."""

    root: Path

    @property
    def document(self) -> dict[str, Any]:
        inputs, elements, outputs = self.root / "input", self.root / "ai", self.root / "output"
        names = ("training_tabular", "training_imagery", "evaluation_tabular", "evaluation_imagery")
        return {
            "input_elements": f"{inputs}/",
            **{f"input_data_{name}": f"{inputs}/platform_data/" for name in names},
            "input_data_inference": f"{inputs}/external_data/",
            "input_data_inference_report_metadata": f"{inputs}/external_data/report_metadata.json",
            "input_ai_elements": f"{elements}/",
            "input_user_vars": f"{elements}/user_vars.json",
            "input_model": f"{elements}/ai_model/",
            "input_models": f"{elements}/ai_models/",
            "output_elements": f"{outputs}/",
            "output_model": f"{outputs}/ai_model/",
            "output_evaluation_metrics": f"{outputs}/evaluation_metrics.json",
            "output_inference_results": f"{outputs}/generic_file/",
            "api_ping_url": "/api/ping",
            "api_run_url": "/api/run",
            "api_end_url": "/api/end",
            "api_host": "127.0.0.1",
            "api_port": free_port(),
        }

    def write_document(self, **changes: Any) -> tuple[Path, dict[str, Any]]:
        path, document = self.root / "platform_vars.json", self.document | changes
        path.write_text(json.dumps(document))
        return path, document

    @property
    def platform(self) -> PlatformVariables:
        path, _document = self.write_document()
        return PlatformVariables.load({PATH_VARIABLE: str(path)})

    def user_vars(self, **changes: Any) -> None:
        path = self.root / "ai" / "user_vars.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(USER_VARS | changes))

    def give(self, entry: dict[str, Any]) -> None:
        """Lay out a data partner's entry in place of what's there."""
        folder = self.root / "input" / "platform_data"
        for file in folder.glob("*"):
            file.unlink()
        lay_out(entry, folder)

    def adopt_model(self, name: str = "") -> None:
        """Make the model that was written an input: the one to start from, or that of a client."""
        target = self.root / "ai" / ("ai_models" if name else "ai_model") / name
        target.mkdir(parents=True, exist_ok=True)
        for file in (self.root / "output" / "ai_model").iterdir():
            (target / file.name).write_bytes(file.read_bytes())

    @property
    def metrics(self) -> dict[str, float]:
        document = json.loads((self.root / "output" / "evaluation_metrics.json").read_text())
        return {metric["name"]: metric["value"] for metric in document["evaluation_metrics"]}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    made = Pod(tmp_path)
    made.user_vars()
    return made


@pytest.fixture(scope="session")
def split() -> Split:
    return split_patients(load_patients())
