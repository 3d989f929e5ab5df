"""The platform's variables for the AI engine: paths and addresses."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runtime.sample_ai_engine.errors import UseCaseError

PATH_VARIABLE = "SAMPLE_AI_ENGINE_PLATFORM_VARS"
DEFAULT_PATH = "/platform_vars.json"


@dataclass(frozen=True)
class PlatformVariables:
    """The content of platform_vars.json; the names are those on the wire."""

    input_data_training_tabular: Path
    input_data_evaluation_tabular: Path
    input_data_inference: Path
    input_data_inference_report_metadata: Path
    input_user_vars: Path
    input_model: Path
    input_models: Path
    output_model: Path
    output_evaluation_metrics: Path
    output_inference_results: Path
    api_ping_url: str
    api_run_url: str
    api_end_url: str
    api_host: str
    api_port: int
    data_provider: str = ""

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the file; raise UseCaseError naming a missing variable."""
        path = Path((os.environ if environment is None else environment).get(PATH_VARIABLE, DEFAULT_PATH))
        document = read_object(path)
        try:
            return cls(
                input_data_training_tabular=Path(document["input_data_training_tabular"]),
                input_data_evaluation_tabular=Path(document["input_data_evaluation_tabular"]),
                input_data_inference=Path(document["input_data_inference"]),
                input_data_inference_report_metadata=Path(document["input_data_inference_report_metadata"]),
                input_user_vars=Path(document["input_user_vars"]),
                input_model=Path(document["input_model"]),
                input_models=Path(document["input_models"]),
                output_model=Path(document["output_model"]),
                output_evaluation_metrics=Path(document["output_evaluation_metrics"]),
                output_inference_results=Path(document["output_inference_results"]),
                api_ping_url=document["api_ping_url"],
                api_run_url=document["api_run_url"],
                api_end_url=document["api_end_url"],
                api_host=document["api_host"],
                api_port=int(document["api_port"]),
                data_provider=document.get("data_provider") or "",
            )
        except KeyError as error:
            raise UseCaseError(f"{path} has no {error.args[0]!r}") from error
        except (TypeError, ValueError) as error:
            raise UseCaseError(f"{path} is malformed: {error}") from error


@dataclass(frozen=True)
class UserVariables:
    """The user variables of the execution.

    `feature_columns` is empty for "all numeric columns". `classes` are the two values of the label, the positive one
    last; empty for "those in the data, in alphabetical order".
    """

    label_column: str = "Diagnosis"
    feature_columns: tuple[str, ...] = ()
    id_column: str = "Patient ID"
    sheet: str = ""
    classes: tuple[str, ...] = ()
    epochs: int = 30
    learning_rate: float = 0.01
    seed: int = 0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file, if it exists; raise UseCaseError naming the wrong field."""
        document = read_object(path) if path.exists() else {}
        try:
            variables = cls(
                label_column=_text(document, "label_column", cls.label_column),
                feature_columns=_texts(document, "feature_columns"),
                id_column=_text(document, "id_column", cls.id_column),
                sheet=_text(document, "sheet", cls.sheet),
                classes=_texts(document, "classes"),
                epochs=int(_number(document, "epochs", cls.epochs)),
                learning_rate=_number(document, "learning_rate", cls.learning_rate),
                seed=int(_number(document, "seed", cls.seed)),
            )
        except ValueError as error:
            raise UseCaseError(f"user variables: {error}") from error
        if not 1 <= variables.epochs <= 100_000:
            raise UseCaseError("user variables: epochs must be from 1 to 100000")
        if not 0 < variables.learning_rate <= 10:
            raise UseCaseError("user variables: learning_rate must be above 0, at most 10")
        if not 0 <= variables.seed < 2**32:
            raise UseCaseError("user variables: seed must be from 0 to 4294967295")
        if variables.classes and len(set(variables.classes)) != 2:
            raise UseCaseError("user variables: classes must be the label's two values")
        return variables


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raise UseCaseError when there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UseCaseError(f"there is no file {path}") from error
    except (ValueError, RecursionError) as error:
        raise UseCaseError(f"{path} is not JSON") from error
    if not isinstance(document, dict):
        raise UseCaseError(f"{path} must hold a JSON object")
    return document


def _text(document: Mapping[str, Any], name: str, default: str) -> str:
    value = document.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string")
    return value


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} must be a list of strings")
    return tuple(value)


def _number(document: Mapping[str, Any], name: str, default: float) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number")
    return value
