"""Plots of metrics over the rounds. Loads matplotlib, some 40 MB: import it only where a plot is asked for."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from executions.rounds import Training

MAX_METRICS = 6
_INCHES_WIDE, _INCHES_HIGH, _COLUMNS = 4.5, 3.2, 3
# Axes add margins and take differences, which must stay finite; no real metric comes near this bound.
_LARGEST = 1e100


def metrics_plot(training: Training, metrics: Sequence[str], image_format: str) -> bytes:
    """Draw a panel for each metric, with a line for each data partner over the rounds, as `svg` or `png`."""
    panels = list(metrics)[:MAX_METRICS]
    columns = max(1, min(_COLUMNS, len(panels)))
    lines = -(-len(panels) // columns) or 1
    figure = Figure(figsize=(_INCHES_WIDE * columns, _INCHES_HIGH * lines), layout="constrained")
    if not panels:
        figure.text(0.5, 0.5, "No metrics have been reported yet.", ha="center", va="center")
    for position, metric in enumerate(panels, 1):
        _draw(figure.add_subplot(lines, columns, position), training, metric)
    drawn = io.BytesIO()
    figure.savefig(drawn, format=image_format, metadata={"Date": None} if image_format == "svg" else None)
    return drawn.getvalue()


def _draw(axes: Axes, training: Training, metric: str) -> None:
    left_out = 0
    for partner in training.partners:
        told = _points(training, partner.partner, metric)
        points = {number: value for number, value in told.items() if abs(value) <= _LARGEST}
        left_out += len(told) - len(points)
        if points:
            axes.plot(list(points), list(points.values()), marker="o", label=partner.partner)
    # Names come from outside: they must not be read as formulas.
    axes.set_title(f"{metric} ({left_out} beyond {_LARGEST:g})" if left_out else metric, parse_math=False)
    axes.set_xlabel("round (the last is the evaluation of the merged model)", fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        for text in axes.legend(handles, labels, fontsize="small").get_texts():
            text.set_parse_math(False)


def _points(training: Training, partner: str, metric: str) -> Mapping[int, float]:
    found = {}
    for each in training.rounds:
        value = each.metrics.get(partner, {}).get(metric)
        if value is not None:
            found[each.number] = value
    return found
