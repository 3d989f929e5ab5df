"""Options of a federated training: a Schema may set defaults for its executions, an execution its own. Pure.

Options that neither sets are left to the federated manager or to settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

FAIL, CONTINUE = "fail", "continue"
AGGREGATIONS = ("engine", "weighted_mean", "trimmed_mean", "median")
TRIMMED = "trimmed_mean"
# Far above what any training needs, and low enough to catch typing errors.
MAX_ROUNDS = 10_000
MAX_CLIENTS = 1_000
MAX_ROUND_SECONDS = 30 * 24 * 3600
MAX_MODEL_KILOBYTES = 100 * 1024**2

# The fields besides `number_iterations`, as JSON Schema.
OPTION_SHAPES: dict[str, dict[str, Any]] = {
    "minimum_clients": {"type": "integer", "minimum": 1, "maximum": MAX_CLIENTS},
    "on_missing_clients": {"type": "string", "enum": [FAIL, CONTINUE]},
    "round_deadline_seconds": {"type": "integer", "minimum": 1, "maximum": MAX_ROUND_SECONDS},
    "aggregation": {"type": "string", "enum": list(AGGREGATIONS)},
    "trim": {"type": "number", "minimum": 0, "exclusiveMaximum": 0.5},
    "max_model_size": {"type": "integer", "minimum": 1, "maximum": MAX_MODEL_KILOBYTES},
}


@dataclass(frozen=True)
class FederatedOptions:
    """The options of a federated training; None for one that is not set.

    `max_model_size` is the size of a model's zip in units of 1024 bytes, as federated managers count it.
    """

    minimum_clients: int | None = None
    on_missing_clients: str | None = None
    round_deadline_seconds: int | None = None
    aggregation: str | None = None
    trim: float | None = None
    max_model_size: int | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> FederatedOptions:
        """Read the options of a document with the right shape; other fields are ignored."""
        return cls(**{field.name: (document or {}).get(field.name) for field in fields(cls)})

    def document(self) -> dict[str, Any]:
        """Return the options that are set, as a document."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def over(self, defaults: FederatedOptions) -> FederatedOptions:
        """Return these options, with those that are not set taken from `defaults`.

        An option that depends on a choice of the defaults is dropped if these options make another choice.
        """
        if self.on_missing_clients == FAIL:
            defaults = replace(defaults, minimum_clients=None)
        if self.aggregation not in (None, TRIMMED):
            defaults = replace(defaults, trim=None)
        return FederatedOptions(**{**defaults.document(), **self.document()})

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield each field that does not fit the others, and why."""
        if self.on_missing_clients == CONTINUE and self.minimum_clients is None:
            yield (
                "on_missing_clients",
                "is 'continue' and requires minimum_clients, the number of answers that a round needs",
            )
        if self.minimum_clients is not None and self.on_missing_clients != CONTINUE:
            yield "minimum_clients", "is allowed only if on_missing_clients is 'continue'"
        if self.trim is not None and self.aggregation != TRIMMED:
            yield "trim", f"is allowed only if aggregation is '{TRIMMED}'"
