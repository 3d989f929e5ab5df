"""Hundreds of runs live through hundreds of faults: none is lost, none doubled, none stuck, nothing is left behind."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from runs import engines, outbox, owners
from runs.models import WorkflowRun
from tests.chaos.controllers import APPLICATION, Controllers
from tests.chaos.crowd import Crowd, stuck
from tests.chaos.faults import FaultKind, Schedule
from tests.chaos.mortal import OWNER_KIND, MortalOwner
from tests.chaos.proxy import FaultProxy
from tests.engines.argo.behaviours import Pace
from tests.engines.argo.standin import ArgoStandin
from tests.services.kubernetes import WORKFLOWS, ApiServer

pytestmark = [pytest.mark.kubernetes, pytest.mark.django_db(transaction=True)]

RUNS = {"postgresql": 500, "sqlite": 60}
# Of the requests of a run, and of watches.
FAULTS_PER_REQUEST = 0.08
FAULTS_PER_WATCH = 0.9
TIMEOUT_SECONDS = 2.0
OPTIONS = {"requests_per_second": 200.0, "burst": 200, "timeout_seconds": TIMEOUT_SECONDS, "page_size": 50}
# Both controllers may be blind for longer: then events tell how a Workflow ended that is gone. Longer than a late
# request is under way.
EXPIRY_SECONDS = 4.0
# Several times the longest pause between two tries.
STUCK_SECONDS = 120.0
PROGRESS_SECONDS = 15.0
TICK_SECONDS = 0.25
SUBMITTED_PER_TICK = 3


@pytest.fixture
def argo_is_known(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.ENGINES = {"argo": {"class": "engines.argo.ArgoEngine"}}
    settings.ENGINE = "argo"
    monkeypatch.setattr(owners, "_owners", {OWNER_KIND: MortalOwner()})
    engines.forget_engines()
    yield
    engines.forget_engines()
    connections.close_all()


class Cutter:
    """Cuts controllers' connections to the database, where it is a server that they are connected to."""

    def __init__(self, seed: int) -> None:
        self.cut = 0
        self._random = random.Random(seed)

    def act(self) -> None:
        if connection.vendor != "postgresql":
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
                [APPLICATION],
            )
            pids = sorted(pid for (pid,) in cursor.fetchall())
            if pids:
                cursor.execute("SELECT pg_terminate_backend(%s)", [self._random.choice(pids)])
                self.cut += 1


def test_no_run_is_lost_doubled_or_stuck(
    api_server: ApiServer, namespace: str, argo_is_known: None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = request.config.getoption("chaos_seed", default=None)
    seed = random.SystemRandom().randrange(10**6) if given is None else given
    count = request.config.getoption("chaos_runs", default=None) or RUNS[connection.vendor]
    print(f"\n{count} runs on {connection.vendor}; the same faults again: --chaos-seed {seed}")
    schedule = Schedule(seed, FAULTS_PER_REQUEST, FAULTS_PER_WATCH)
    crowd, cutter = Crowd(seed, count), Cutter(seed)
    with (
        ArgoStandin(api_server.api, namespace, Pace(expiry_seconds=EXPIRY_SECONDS)) as standin,
        FaultProxy(api_server.server, api_server.authority, schedule, late_seconds=1.5 * TIMEOUT_SECONDS) as proxy,
    ):
        options = {**OPTIONS, "namespace": namespace}
        controllers = Controllers(api_server, proxy, tmp_path, seed, count=2, options=options)
        try:
            live_through(crowd, controllers, cutter)
        finally:
            controllers.close()
            (tmp_path / "logs").write_text(controllers.logs())
            print(table(schedule, controllers.killed, cutter))
        check_what_is_left(crowd, standin, api_server, namespace)
    faults = schedule.injected.total() + controllers.killed.total() + cutter.cut
    assert faults >= 0.6 * count
    assert set(schedule.injected) == set(FaultKind)
    assert connection.vendor != "postgresql" or controllers.steps_left == []


def live_through(crowd: Crowd, controllers: Controllers, cutter: Cutter) -> None:
    """Go on until every run has ended and is deleted. Fails where nothing goes on any more."""
    count = crowd.count
    kill_every, cut_every = max(4, count // 30), max(2, count // 50)
    before, news_at, told_at = (0, 0), time.monotonic(), time.monotonic()
    while True:
        # Some runs are held back until there is no step left at which a controller is to be killed.
        crowd.submit(SUBMITTED_PER_TICK, reserve=count // 20 if controllers.steps_left else 0)
        left = crowd.look()
        # By what has been achieved, not by the clock: a slow machine meets as many deaths for each run as a fast one.
        achieved = crowd.ended + len(crowd.members) - left
        controllers.tend(kill=controllers.killed.total() < achieved // kill_every)
        if cutter.cut < achieved // cut_every:
            cutter.act()
        if crowd.all_submitted and left == 0:
            return
        now = time.monotonic()
        if (crowd.ended, left) != before:
            before, news_at = (crowd.ended, left), now
        if now - told_at > PROGRESS_SECONDS:
            told_at = now
            print(
                f"{len(crowd.members)} submitted, {crowd.ended} ended, {left} not deleted,"
                f" {controllers.killed.total()} kills",
                flush=True,
            )
        assert now - news_at < STUCK_SECONDS, "\n".join(stuck())
        time.sleep(TICK_SECONDS)


def check_what_is_left(crowd: Crowd, standin: ArgoStandin, api_server: ApiServer, namespace: str) -> None:
    assert not crowd.surprises(), "\n".join(crowd.surprises())
    doubled = {name: uids for name, uids in standin.begun.items() if len(uids) > 1}
    assert doubled == {}
    unstarted = [
        m.name
        for m in crowd.members.values()
        if not m.plan.stop and not m.plan.deadline_seconds and m.name not in standin.begun
    ]
    assert unstarted == []
    assert outbox.holders() == []
    assert WorkflowRun.objects.count() == 0
    standin.collect_garbage()
    assert standin.leftovers() == []
    assert api_server.api.list(WORKFLOWS.format(namespace=namespace)) == []


def table(schedule: Schedule, killed: Counter[str], cutter: Cutter) -> str:
    """Return how often each kind of fault was injected, as a table."""
    rows = [(str(kind), schedule.injected[kind]) for kind in FaultKind]
    rows += [("database connection cut", cutter.cut), ("controller killed", killed.total())]
    rows.append(("all", sum(number for _, number in rows)))
    lines = [f"{what:32} {number:5}" for what, number in rows]
    return "\n".join([*lines, *(f"    killed at {step:26} {number:5}" for step, number in sorted(killed.items()))])
