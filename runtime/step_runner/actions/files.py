"""Actions on the pod's own files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import ActionError
from runtime.small_server import split_host
from runtime.step_runner.action import Action, Context


@dataclass(frozen=True)
class CreateDirectory(Action):
    """Create a folder with its parents."""

    name = "create_directory"
    directory_path: str

    def run(self, context: Context) -> None:
        """Create the folder; one that exists is left as it is."""
        Path(self.directory_path).mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class ChangeAPIHostAndPort(Action):
    """Rewrite a JSON file with another `api_host` and `api_port`."""

    name = "change_api_host_and_port"
    read_file_path: str
    write_file_path: str
    api_host_and_port: str

    def faults(self) -> Iterator[str]:
        """Refuse values that are not `host:port`."""
        try:
            split_host(self.api_host_and_port)
        except ValueError as error:
            yield f"field 'api_host_and_port': {error}"

    def run(self, context: Context) -> None:
        """Write the file; the port keeps the type that it had."""
        document = read_object(Path(self.read_file_path))
        host, port = split_host(self.api_host_and_port)
        as_text = isinstance(document.get("api_port"), str)
        _write(Path(self.write_file_path), document | {"api_host": host, "api_port": str(port) if as_text else port})


@dataclass(frozen=True)
class AddDataProviderInfo(Action):
    """Rewrite a JSON file with `data_provider` in it."""

    name = "add_data_provider_info"
    read_file_path: str
    write_file_path: str
    data_provider: str

    def run(self, context: Context) -> None:
        """Write the file."""
        document = read_object(Path(self.read_file_path))
        _write(Path(self.write_file_path), document | {"data_provider": self.data_provider})


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; raise ActionError when there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ActionError(f"there is no file {path}") from error
    except (ValueError, RecursionError) as error:
        raise ActionError(f"{path} is not JSON") from error
    if not isinstance(document, dict):
        raise ActionError(f"{path} must hold a JSON object")
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
