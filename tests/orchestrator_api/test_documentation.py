"""Pages that can be compared with the code are."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands

from executions.parameters import PATH_NAMES
from runtime.step_runner.actions import ACTIONS
from runtime.step_runner.actions.uploads import UpdateToSucceeded
from templates.shipped import shipped_schemas

ROOT = Path(settings.BASE_DIR)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def imported_by(folder: str, names: set[str]) -> set[str]:
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            found |= {module.partition(".")[0] for module in modules}
    return (found & names) - {folder}


def test_the_architecture_lists_every_folder_and_what_it_imports():
    table = {row[0].strip("`/"): row[2] for row in rows(page("architecture.md")) if row[0].count("`") == 2}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}
    assert packages <= set(table)
    for folder in packages - {"orchestrator_api"}:
        assert imported_by(folder, packages) <= set(re.findall(r"`(\w+)`", table[folder])), folder


def test_the_shipped_schemas_are_described():
    described = {row[0].strip("`"): row for row in rows(page("reference/shipped-schemas.md")) if len(row) == 5}
    for shipped in shipped_schemas():
        engines = shipped.document["ai_elements"]["ai_engines"]
        told = described[shipped.name][2]
        assert told.startswith("the same") or all(f"`{engine['descriptor']}`" in told for engine in engines)
    assert set(described) == {shipped.name for shipped in shipped_schemas()}


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_the_step_runners_actions_are_described_with_their_fields(name):
    text = page("reference/step-runner.md")
    (row,) = [row for row in rows(text) if row[0] == f"`{name}`"]
    if ACTIONS[name] is UpdateToSucceeded:
        section = text.partition("### `update_to_succeeded`")[2]
        ends = {
            field.name.removeprefix("evaluation_metrics").removeprefix("generic_file")
            for field in fields(ACTIONS[name])
        }
        assert {end for end in ends if end not in section} == set()
    else:
        mandatory, _, optional = row[1].partition(";")
        for part, is_needed in ((mandatory, True), (optional, False)):
            declared = {field.name for field in fields(ACTIONS[name]) if (field.default is MISSING) is is_needed}
            assert set(re.findall(r"`(\w+)`", part)) == declared


def test_every_key_of_platform_vars_is_described():
    text = page("reference/ai-engine-data.md")
    keys = {*PATH_NAMES, "api_host", "api_port", "api_ping_url", "api_run_url", "api_end_url", "data_provider"}
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_commands_of_the_page_of_data_exist():
    text = page("how-to/database-and-data.md")
    commands = set(re.findall(r"`manage (\w+)", text)) | set(re.findall(r"^manage (\w+)", text, re.MULTILINE))
    assert {"makemigrations", "migrate", "flush", "clear_data"} <= commands
    assert commands <= set(get_commands())
    assert "\nclear-data:" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (path.parent / file) if file else path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
