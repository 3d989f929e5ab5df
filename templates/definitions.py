"""The document of a shipped Schema, as it is posted to the API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hera.workflows import Workflow


@dataclass(frozen=True)
class EngineSlot:
    """An AI engine of a Schema; the role type `*` allows any AI engine."""

    descriptor: str
    functionality: str
    ai_model: bool
    role_type: str = "*"
    more_functionalities: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "descriptor": self.descriptor,
            "role_type": self.role_type,
            "functionalities": [self.functionality, *self.more_functionalities],
            "ai_model": self.ai_model,
        }


@dataclass(frozen=True)
class Definition:
    """One shipped Schema: its inputs and outputs, and how its Workflow is built."""

    name: str
    description: str
    engines: Sequence[EngineSlot]
    build: Callable[[], Workflow]
    type: str = "individual"
    platform_data: bool = False
    external_data: bool = False
    report_metadata: bool = False
    federated_learning: bool = False
    gives_model: bool = False
    gives_metrics: bool = False
    gives_file: bool = False

    def document(self) -> dict[str, Any]:
        """Return the `data` of the POST that creates this Schema."""
        return {
            "name": self.name,
            "type": self.type,
            "implementation": "argo_workflows",
            "description": self.description,
            "input_elements": {
                "platform_data": self.platform_data,
                "external_data": self.external_data,
                "report_metadata": self.report_metadata,
                "federated_learning_configuration": self.federated_learning,
            },
            "ai_elements": {"ai_engines": [engine.document() for engine in self.engines]},
            "output_elements": {
                "ai_model": self.gives_model,
                "evaluation_metrics": self.gives_metrics,
                "generic_file": self.gives_file,
            },
        }
