"""The elements of a Schema as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.federated import FederatedOptions


@dataclass(frozen=True)
class InputElements:
    platform_data: bool
    external_data: bool
    report_metadata: bool
    federated_learning_configuration: bool
    federated_learning_defaults: FederatedOptions

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> InputElements:
        return cls(
            platform_data=bool(document.get("platform_data")),
            external_data=bool(document.get("external_data")),
            report_metadata=bool(document.get("report_metadata")),
            federated_learning_configuration=bool(document.get("federated_learning_configuration")),
            federated_learning_defaults=FederatedOptions.of(document.get("federated_learning_defaults")),
        )


@dataclass(frozen=True)
class EngineElement:
    """One AI engine that a Schema needs; the `role_type` `*` allows any."""

    descriptor: str
    role_type: str
    functionalities: tuple[str, ...]
    ai_model: bool

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> EngineElement:
        return cls(
            descriptor=document["descriptor"],
            role_type=document["role_type"],
            functionalities=tuple(document["functionalities"]),
            ai_model=bool(document["ai_model"]),
        )


@dataclass(frozen=True)
class OutputElements:
    ai_model: bool
    evaluation_metrics: bool
    generic_file: bool

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> OutputElements:
        return cls(
            ai_model=bool(document.get("ai_model")),
            evaluation_metrics=bool(document.get("evaluation_metrics")),
            generic_file=bool(document.get("generic_file")),
        )


@dataclass(frozen=True)
class Elements:
    """All elements of one Schema."""

    input: InputElements
    engines: tuple[EngineElement, ...]
    output: OutputElements

    @classmethod
    def of(
        cls, input_elements: Mapping[str, Any], ai_elements: Mapping[str, Any], output_elements: Mapping[str, Any]
    ) -> Elements:
        """Read the elements of a Schema from the documents that the API stores."""
        return cls(
            input=InputElements.of(input_elements),
            engines=tuple(EngineElement.of(engine) for engine in ai_elements["ai_engines"]),
            output=OutputElements.of(output_elements),
        )
