"""A federated training's rounds as tables in the admin."""

from __future__ import annotations

from collections.abc import Mapping

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from executions.models import Execution
from executions.rounds import Round, training_of
from web.markup import NOTHING, badge, moment

SHOWN_ROUNDS = 100
_ROLE_TITLES = ("Role", "State", "Round", "Sent", "Received", "Message", "Last report at")
_ROUND_TITLES = ("Round", "Last step", "Answered", "Failed", "Metrics", "Began", "Last report at")
_ROW = '<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class="text">{}</td><td>{}</td><td>{}</td></tr>'
_ROLE_ROW = '<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class="text">{}</td><td>{}</td></tr>'


def rounds_table(execution: Execution) -> SafeString | str:
    """Return the roles of a federated training and its newest rounds, as tables."""
    if execution.number_iterations is None:
        return "The execution does not train in a federated manner."
    training = training_of(execution, execution.attempt)
    server = [("server", training.server)] if training.server else []
    roles = [*server, *((role.partner, role) for role in training.partners)]
    told = (
        (name, badge(role.state), _number(role.round), f"{role.bytes_sent:,}", f"{role.bytes_received:,}",
         role.message, moment(role.at))
        for name, role in roles
    )  # fmt: skip
    newest = training.rounds[-SHOWN_ROUNDS:]
    rounds = format_html_join("", _ROW, (_cells(each) for each in newest))
    address = reverse("execution-rounds-plot", args=[execution.pk])
    return format_html(
        '{}{}<p><a href="{}">The metrics as a plot</a></p>',
        _table(_ROLE_TITLES, format_html_join("", _ROLE_ROW, told)),
        _table(_ROUND_TITLES, rounds) if newest else "",
        address,
    )


def _table(titles: tuple[str, ...], rows: SafeString) -> SafeString:
    head = format_html_join("", "<th>{}</th>", ((title,) for title in titles))
    return format_html('<table class="plain"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, rows)


def _cells(each: Round) -> tuple[object, ...]:
    failed = "; ".join(f"{name}: {reason}" for name, reason in each.failed.items())
    number = "evaluation" if each.is_evaluation else _number(each.number)
    answered = ", ".join(each.answered)
    metrics = "; ".join(f"{name}: {_values(values)}" for name, values in each.metrics.items())
    return number, each.state, answered, failed, metrics, moment(each.began_at), moment(each.at)


def _number(number: int | None) -> str:
    return NOTHING if number is None else str(number)


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
