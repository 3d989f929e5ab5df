"""The action that uploads an execution's results to the registry and ends the execution."""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from runtime.archives import pack
from runtime.calls import Calls
from runtime.errors import ActionError, CallError
from runtime.multipart import FilePart
from runtime.step_runner.action import Action, Context
from runtime.step_runner.actions.files import read_object

log = logging.getLogger(__name__)

# The registry's statuses for a metric with wrong values.
_REFUSED = frozenset({400, 413, 422})
_NEEDED = ("upload_url", "delete_url", "upload_path")


@dataclass
class Journal:
    """The objects that were created in the registry, so that they can be deleted."""

    calls: Calls
    addresses: list[str] = field(default_factory=list)

    def record(self, response: requests.Response, delete_url: str) -> int:
        """Return the id in an answer; a created, not updated, object is noted for deletion."""
        try:
            identifier = response.json()["id"]
        except (ValueError, KeyError, TypeError) as error:
            raise ActionError("the registry's answer to an upload has no id") from error
        if not isinstance(identifier, int):
            raise ActionError("the id in the registry's answer to an upload is not a number")
        if response.status_code == requests.codes.created:
            self.addresses.append(f"{delete_url.rstrip('/')}/{identifier}/")
        return identifier

    def undo(self) -> None:
        """Delete the created objects, the latest first; failures are logged."""
        for address in reversed(self.addresses):
            try:
                self.calls.delete(address)
                log.info("deleted after the failure: %s", address)
            except CallError as error:
                log.error("could not be deleted after the failure: %s", error)


@dataclass(frozen=True)
class UpdateToSucceeded(Action):
    """Upload the results, then report that the execution succeeded."""

    name = "update_to_succeeded"
    update_status_url: str
    upload_ai_model: bool = False
    upload_evaluation_metrics: bool = False
    upload_generic_file: bool = False
    ai_model_upload_url: str | None = None
    ai_model_delete_url: str | None = None
    ai_model_upload_path: str | None = None
    ai_model_upload_metadata: dict[str, Any] = field(default_factory=dict)
    ai_model_user_vars_path: str | None = None
    evaluation_metrics_upload_url: str | None = None
    evaluation_metrics_delete_url: str | None = None
    evaluation_metrics_upload_path: str | None = None
    evaluation_metrics_upload_metadata: dict[str, Any] = field(default_factory=dict)
    evaluation_metrics_ai_model: int | None = None
    evaluation_metrics_multiple: bool = False
    evaluation_metrics_patients_info: dict[str, Any] = field(default_factory=dict)
    generic_file_upload_url: str | None = None
    generic_file_delete_url: str | None = None
    generic_file_upload_path: str | None = None
    generic_file_upload_metadata: dict[str, Any] = field(default_factory=dict)

    def faults(self) -> Iterator[str]:
        """Yield the missing fields of requested uploads."""
        for kind in ("ai_model", "evaluation_metrics", "generic_file"):
            if getattr(self, f"upload_{kind}"):
                yield from (
                    f"field '{kind}_{needed}' is missing, since upload_{kind} is true"
                    for needed in _NEEDED
                    if getattr(self, f"{kind}_{needed}") is None
                )
        if self.upload_evaluation_metrics and not self.upload_ai_model and self._given_model() is None:
            yield "field 'evaluation_metrics_ai_model' is missing, since no model is uploaded"

    def run(self, context: Context) -> None:
        """Upload, then send the PATCH with the ids; on failure delete the created objects."""
        journal = Journal(context.calls)
        done = False
        try:
            context.calls.send_data("PATCH", self.update_status_url, self._upload(context.calls, journal))
            done = True
        finally:
            if not done:
                journal.undo()

    def _upload(self, calls: Calls, journal: Journal) -> dict[str, object]:
        """Upload in the order model, metrics, generic file; return the ids as the orchestrator expects them."""
        produced: dict[str, object] = {}
        model = self._given_model()
        metrics: list[dict[str, int]] = []
        if self.upload_ai_model:
            model = self._upload_ai_model(calls, journal)
            produced["ai_model"] = {"ai_model": model}
        if self.upload_evaluation_metrics:
            metrics = self._upload_metrics(calls, journal, model)
        if self.upload_generic_file:
            produced["generic_file"] = {"generic_file": self._upload_generic_file(calls, journal)}
        if self.upload_evaluation_metrics:
            produced["evaluation_metrics"] = metrics
        return produced

    def _given_model(self) -> object:
        if self.evaluation_metrics_ai_model is not None:
            return self.evaluation_metrics_ai_model
        return self.evaluation_metrics_upload_metadata.get("ai_model")

    def _upload_ai_model(self, calls: Calls, journal: Journal) -> int:
        url, delete_url, path = _given(self.ai_model_upload_url, self.ai_model_delete_url, self.ai_model_upload_path)
        with tempfile.TemporaryDirectory(prefix="upload-") as scratch:
            contents = Path(scratch, "contents.zip")
            pack(path, contents)
            files = [FilePart("contents", contents)]
            if self.ai_model_user_vars_path:
                user_vars = Path(self.ai_model_user_vars_path)
                if not user_vars.is_file():
                    raise ActionError(f"there is no file {user_vars}")
                files.append(FilePart("ai_engine_version_user_vars", user_vars))
            response = calls.send_data("POST", url, self.ai_model_upload_metadata, files)
        return journal.record(response, delete_url)

    def _upload_generic_file(self, calls: Calls, journal: Journal) -> int:
        url, delete_url, path = _given(
            self.generic_file_upload_url, self.generic_file_delete_url, self.generic_file_upload_path
        )
        with tempfile.TemporaryDirectory(prefix="upload-") as scratch:
            contents = Path(scratch, "contents.zip")
            pack(path, contents)
            files = [FilePart("contents", contents)]
            response = calls.send_data("POST", url, self.generic_file_upload_metadata, files)
        return journal.record(response, delete_url)

    def _upload_metrics(self, calls: Calls, journal: Journal, model: object) -> list[dict[str, int]]:
        """Upload the valid metrics; others are logged, so that a trained model is not lost for them.

        Raises ActionError where the action uploads only metrics, and none is valid.
        """
        found: list[dict[str, int]] = []
        faults: list[str] = []
        for metric in self._metrics(faults):
            try:
                found.append({"evaluation_metric": self._upload_metric(calls, journal, model, metric)})
            except CallError as error:
                if error.status not in _REFUSED:
                    raise
                faults.append(f"metric {metric['name']!r}: {error}")
        for fault in faults:
            log.warning("left out: %s", fault)
        if faults and not found and not self.upload_ai_model:
            raise ActionError(f"no evaluation metric is valid: {'; '.join(faults)}")
        return found

    def _upload_metric(self, calls: Calls, journal: Journal, model: object, metric: dict[str, Any]) -> int:
        url, delete_url, _path = _given(
            self.evaluation_metrics_upload_url, self.evaluation_metrics_delete_url, self.evaluation_metrics_upload_path
        )
        # The metric's own fields come last, but cannot assign it to another model.
        body = {"ai_model": model} | self.evaluation_metrics_upload_metadata | metric | {"ai_model": model}
        return journal.record(calls.send_json("POST", url, body), delete_url)

    def _metrics(self, faults: list[str]) -> list[dict[str, Any]]:
        """Return the valid metrics of the file, or of every data partner's file; others are noted in `faults`."""
        path = Path(self.evaluation_metrics_upload_path or "")
        if not self.evaluation_metrics_multiple:
            return _metrics_of(path, faults)
        folder = path.parent if path.name == "*" else path
        files = sorted(folder.glob("*.json"))
        if not files:
            faults.append(f"{folder} holds no evaluation metrics")
        found: list[dict[str, Any]] = []
        for file in files:
            partner = file.stem
            if partner not in self.evaluation_metrics_patients_info:
                faults.append(f"evaluation_metrics_patients_info does not name the data partner of {file}")
                continue
            patients = {"data_partners_patients": {partner: self.evaluation_metrics_patients_info[partner]}}
            found += [metric | patients for metric in _metrics_of(file, faults)]
        return found


def _metrics_of(path: Path, faults: list[str]) -> list[dict[str, Any]]:
    """Return the valid metrics in a file; others are noted in `faults`."""
    try:
        metrics = read_object(path).get("evaluation_metrics")
    except ActionError as error:
        faults.append(str(error))
        return []
    if not isinstance(metrics, list):
        faults.append(f"{path} must hold a list evaluation_metrics")
        return []
    found: list[dict[str, Any]] = []
    for index, metric in enumerate(metrics):
        where = f"{path}: evaluation_metrics[{index}]"
        if not isinstance(metric, dict) or not isinstance(metric.get("name"), str):
            faults.append(f"{where} must be an object with a name")
        elif (value := _number(metric.get("value"))) is None:
            faults.append(f"{where} ({metric['name']}) must have a finite number as its value")
        else:
            found.append(metric | {"value": value})
    return found


def _number(value: object) -> int | float | None:
    """Return a finite number, also one written as a string; None for any other value."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        return None
    return value


def _given(*values: str | None) -> tuple[str, ...]:
    """Return fields that `faults` has already checked."""
    if None in values:
        raise ActionError("a field of the upload is missing")
    return tuple(value for value in values if value is not None)
