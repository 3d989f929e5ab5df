"""How the server merges models: by its AI engine, or by itself for plain archives of arrays."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from runtime.errors import ModelsUnmergeable
from runtime.federated_manager.engine import Engine, Job
from runtime.federated_manager.errors import ModelsRefused
from runtime.federated_manager.messages import MODEL_PREFIX
from runtime.federated_manager.settings import MERGING, ServerSettings


class Aggregation(ABC):
    """Merges the models that lie in `model_<client>/` folders into the folder of the merged model."""

    needs_engine: ClassVar[bool]

    @abstractmethod
    def start(self, clients: Sequence[str]) -> Job:
        """Merge the models of these clients in the background.

        Waiting for it raises ModelsRefused where some models cannot be merged.
        """


class EngineAggregation(Aggregation):
    """Lets the AI engine merge (`merging_models`)."""

    needs_engine = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def start(self, clients: Sequence[str]) -> Job:
        """Run the use case; the AI engine takes the existing folders."""
        return Job(self._merge)

    def _merge(self) -> None:
        try:
            self._engine.run(MERGING)
        except ModelsUnmergeable as error:
            raise ModelsRefused(error.clients) from error


class ArrayAggregation(Aggregation):
    """Merges archives of arrays array by array."""

    needs_engine = False

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        # The form of the last merged model; later models must have the same.
        self._form: Any = None

    def start(self, clients: Sequence[str]) -> Job:
        """Merge in a thread."""
        folders = [self._settings.unmerged_models / f"{MODEL_PREFIX}{client}" for client in clients]
        return Job(lambda: self._merge(folders))

    def _merge(self, folders: Sequence[Path]) -> None:
        # Only servers that merge by themselves need numpy.
        arrays = importlib.import_module("runtime.federated_manager.arrays")
        how, trim = self._settings.aggregation, self._settings.trim
        self._form = arrays.merge_archives(folders, self._settings.merged_model, how, trim, self._form)


def make_aggregation(settings: ServerSettings, engine: Engine) -> Aggregation:
    """Return the configured aggregation."""
    return EngineAggregation(engine) if settings.aggregation == "engine" else ArrayAggregation(settings)
