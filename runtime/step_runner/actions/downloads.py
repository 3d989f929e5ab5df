"""Actions that bring files into the pod."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from runtime.archives import unpack
from runtime.step_runner.action import Action, Context

DEFAULT_RESUME_RETRIES = 4


@dataclass(frozen=True)
class DownloadUserVars(Action):
    """Download an AI engine's user variables to a file."""

    name = "download_user_vars"
    user_vars_url: str
    output_path: str
    download_resume_retries: int = DEFAULT_RESUME_RETRIES

    def run(self, context: Context) -> None:
        """Download the file."""
        _download_file(context, self.user_vars_url, self.output_path, self.download_resume_retries)


@dataclass(frozen=True)
class DownloadJSON(Action):
    """Download a JSON document to a file."""

    name = "download_json"
    json_url: str
    output_path: str
    download_resume_retries: int = DEFAULT_RESUME_RETRIES

    def run(self, context: Context) -> None:
        """Download the file."""
        _download_file(context, self.json_url, self.output_path, self.download_resume_retries)


@dataclass(frozen=True)
class DownloadExternalData(Action):
    """Download an execution's external data and unpack them."""

    name = "download_external_data"
    external_data_url: str
    output_path: str
    download_resume_retries: int = DEFAULT_RESUME_RETRIES

    def run(self, context: Context) -> None:
        """Download the zip and unpack it."""
        _download_zip(context, self.external_data_url, self.output_path, self.download_resume_retries)


@dataclass(frozen=True)
class DownloadAIModel(Action):
    """Download a model and unpack it."""

    name = "download_ai_model"
    ai_model_url: str
    output_path: str
    download_resume_retries: int = DEFAULT_RESUME_RETRIES

    def run(self, context: Context) -> None:
        """Download the zip and unpack it."""
        _download_zip(context, self.ai_model_url, self.output_path, self.download_resume_retries)


def _download_file(context: Context, url: str, output_path: str, resume_retries: int) -> None:
    target = Path(output_path)
    target.parent.mkdir(parents=True, exist_ok=True)
    context.calls.download(url, target, resume_retries)


def _download_zip(context: Context, url: str, output_path: str, resume_retries: int) -> None:
    folder = Path(output_path)
    folder.mkdir(parents=True, exist_ok=True)
    # In the target's folder: the pod's other folders may be too small.
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
        archive = Path(scratch, "contents.zip")
        context.calls.download(url, archive, resume_retries)
        unpack(archive, folder)
