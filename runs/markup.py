"""A Workflow's nodes and manifest as HTML and YAML for the admin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import yaml
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs.models import WorkflowRun
from runs.nodes import WORKING_TYPES, in_tree_order
from web.markup import NOTHING, badge, lasting, moment

SHOWN_NODES = 2000
# The deepest indentation in operators.css: pages have no style attributes (orchestrator_api.answers).
_DEEPEST = 12
_TITLES = ("Step", "Type", "Phase", "Started", "Ran for", "Message", "Output")
_ROW = (
    '<tr><td class="{} depth-{}">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>'
    '<td class="text">{}</td><td>{}</td></tr>'
)


def node_table(run: WorkflowRun) -> SafeString | str:
    """Return a run's nodes in the order of their tree, each with its phase, duration, message and log."""
    nodes = list(in_tree_order(run.nodes))
    if not nodes:
        return "The engine has not reported any steps yet."
    logs = reverse("run-logs", args=[run.name])
    now = timezone.now()
    rows = format_html_join("", _ROW, (_cells(depth, node, logs, now) for depth, node in nodes[:SHOWN_NODES]))
    more = format_html("<p>… and {} more</p>", len(nodes) - SHOWN_NODES) if len(nodes) > SHOWN_NODES else ""
    head = format_html_join("", "<th>{}</th>", ((title,) for title in _TITLES))
    return format_html('<table class="plain"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}', head, rows, more)


def _cells(depth: int, node: dict[str, Any], logs: str, now: datetime) -> tuple[Any, ...]:
    kind = node.get("type", "")
    started, finished = _time(node.get("startedAt")), _time(node.get("finishedAt"))
    has_run = started is not None and node.get("phase") not in ("Pending", "Skipped", "Omitted")
    has_log = has_run and kind == "Pod" and node.get("id")
    return (
        "step" if kind in WORKING_TYPES else "group",
        min(depth, _DEEPEST),
        node.get("displayName") or node.get("name") or node.get("id", ""),
        kind,
        badge(node.get("phase", "")),
        moment(started),
        lasting((finished or now) - started) if has_run and started else NOTHING,
        node.get("message") or "",
        format_html('<a href="{}?node={}">log</a>', logs, quote(str(node["id"]))) if has_log else "",
    )


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as blocks, not as one line full of escapes."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # YAML has no block form for lines that end in blanks, nor for characters that cannot be printed.
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _text)


def manifest_yaml(manifest: Mapping[str, Any]) -> str:
    """Return a manifest as readable YAML."""
    return yaml.dump(dict(manifest), Dumper=_Readable, sort_keys=False, allow_unicode=True, width=160)


def _time(text: object) -> datetime | None:
    try:
        return parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
