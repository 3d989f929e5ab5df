from __future__ import annotations

import itertools

import pytest

from engines.base import WorkflowPhase, WorkflowStatus, manifest_digest
from runs import engines, owners
from runs.models import WorkflowRun
from runs.services import run_create
from tests.runs.doubles import POD, FolderEngine, NotingOwner

MANIFEST = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": {"entrypoint": "main"}}
_numbers = itertools.count(1)


@pytest.fixture
def engine(settings, tmp_path):
    settings.ENGINES = {"double": {"class": "tests.runs.doubles.FolderEngine", "options": {"root": str(tmp_path)}}}
    settings.ENGINE = "double"
    engines.forget_engines()
    yield engines.get_engine("double")
    engines.forget_engines()


@pytest.fixture
def owner(engine: FolderEngine, monkeypatch):
    monkeypatch.setattr(owners, "_owners", {})
    owner = NotingOwner(engine)
    owners.register("test", owner)
    return owner


@pytest.fixture
def make_run(owner):
    """Return a function that queues runs of one owner each."""

    def make(**given) -> WorkflowRun:
        number = next(_numbers)
        values = {"owner_kind": "test", "owner_id": number, "name": f"run-{number}", "manifest": MANIFEST}
        return run_create(**{**values, **given})

    return make


@pytest.fixture
def status_of():
    """Return a function that makes the status of a run's Workflow."""

    def make(run: WorkflowRun, phase: WorkflowPhase = WorkflowPhase.RUNNING, **given) -> WorkflowStatus:
        values = {"digest": manifest_digest(run.manifest), "nodes": POD, "version": str(next(_numbers) + 1000)}
        return WorkflowStatus(name=run.name, phase=phase, **{**values, **given})

    return make
