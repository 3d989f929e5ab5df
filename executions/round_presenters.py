"""A federated training's rounds as the API shows them."""

from __future__ import annotations

from typing import Any

from executions.rounds import Role, Round, Training


def present_training(training: Training) -> dict[str, Any]:
    """Show one attempt's server, data partners and rounds."""
    return {
        "attempt": training.attempt,
        "server": _role(training.server) if training.server else None,
        "data_partners": [{"data_partner": role.partner, **_role(role)} for role in training.partners],
        "rounds": [_round(each) for each in training.rounds],
    }


def metric_names(training: Training) -> list[str]:
    """Return the names of the reported metrics, those of the last round first."""
    names = (name for each in reversed(training.rounds) for told in each.metrics.values() for name in told)
    return list(dict.fromkeys(names))


def _role(role: Role) -> dict[str, Any]:
    return {
        "state": role.state,
        "round": role.round,
        "message": role.message,
        "bytes_sent": role.bytes_sent,
        "bytes_received": role.bytes_received,
        "reported_at": role.at,
    }


def _round(shown: Round) -> dict[str, Any]:
    return {
        "round": shown.number,
        "is_evaluation": shown.is_evaluation,
        "state": shown.state,
        "ready": shown.ready,
        "answered": shown.answered,
        "failed": shown.failed,
        "metrics": shown.metrics,
        "bytes_sent": shown.bytes_sent,
        "bytes_received": shown.bytes_received,
        "began_at": shown.began_at,
        "reported_at": shown.at,
    }
