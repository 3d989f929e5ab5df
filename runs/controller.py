"""The controller: carries out wishes at the engines, follows their reports, and holds runs to their deadlines.

A wish is an action at the engine that is still to be done for a run (runs.transitions). Several controllers may run on
one database. A controller that is killed loses nothing: what it was about to do is in the rows, and everything that it
may have done already can be done again.

    main thread        claims what is due, hands it to carriers, expires deadlines; sleeps until a wake-up
    carriers           a few threads for each engine, so that an engine that hangs does not delay the others
    watchers           one for each engine
    observer           writes the news of the watchers
    reconcilers        one for each engine
    explainers         one for each engine, asks why runs wait there
    inventories        one for each engine, asks for its nodes
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from django.db import connections
from django.utils import timezone

from engines.base import Engine
from runs import identity, outbox
from runs.carrier import Carrier
from runs.explanations import Explainer
from runs.identity import Identity
from runs.inventory import Inventory, nodes_forgotten
from runs.models import WorkflowRun
from runs.reconcile import RECONCILE_SECONDS, Reconciler
from runs.services import run_expire
from runs.watching import Inbox, Observer, Watcher
from web.journal import settle
from web.wakeups import Listener

logger = logging.getLogger(__name__)

# The longest sleep, in case a wake-up is lost.
SWEEP_SECONDS = 5.0
CARRIERS = 4
# The pause after a failure that may soon be over.
PAUSE_SECONDS = 1.0
# Work that is not done by then is left to the next controller.
CLOSING_SECONDS = 1.2


class _Carriers:
    """The threads that carry out wishes at one engine."""

    def __init__(self, carrier: Carrier, done: Callable[[], None]) -> None:
        self._carrier = carrier
        self._done = done
        self._waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._active: set[int] = set()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(CARRIERS)]
        for thread in self._threads:
            thread.start()

    @property
    def active(self) -> set[int]:
        with self._lock:
            return set(self._active)

    def take(self, run_id: int) -> None:
        with self._lock:
            self._active.add(run_id)
        self._waiting.put(run_id)

    def close(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (run_id := self._waiting.get()) is not None:
            try:
                self._carrier.carry(run_id)
            except Exception:
                # Mostly a database fault: the next round gives the claim back, and the wish is carried out again.
                logger.exception("The action for run %s could not be carried out", run_id)
                connections.close_all()
            with self._lock:
                self._active.discard(run_id)
            self._done()
        connections.close_all()


class Controller:
    """Carries, watches, reconciles and expires, until `stop`."""

    def __init__(
        self,
        engines: list[Engine],
        *,
        clock: Callable[[], datetime] = timezone.now,
        sweep_seconds: float = SWEEP_SECONDS,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._engines = engines
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        self._reconcile_seconds = reconcile_seconds
        self._stopping = threading.Event()
        self._listener = Listener()
        self._identity = Identity()
        self._inbox = Inbox()
        self._tend_at = clock()
        self._deadline_at: datetime | None = None
        self._reconcilers = {engine.alias: Reconciler(engine, clock) for engine in engines}

    def stop(self) -> None:
        """Let `run` return soon; may be called from any thread and from a signal handler."""
        self._stopping.set()
        self._listener.poke()

    def run(self) -> None:
        """Work until `stop` is called."""
        logger.info("Controller %s serves %s.", self._identity.name, ", ".join(e.alias for e in self._engines))
        self._put_in_order()
        for engine in self._engines:
            for complaint in engine.check():
                logger.error("Engine %s: %s", engine.alias, complaint)
        carriers = {
            engine.alias: _Carriers(Carrier(engine, self._identity.name, self._clock), self._listener.poke)
            for engine in self._engines
        }
        observer = self._start_followers()
        try:
            while not self._stopping.is_set():
                self._identity.beat()
                self._listener.wait(self._round(carriers))
        finally:
            self._close(carriers, observer)

    def _start_followers(self) -> threading.Thread:
        observer = Observer(self._inbox, lambda alias, name: self._reconcilers[alias].suspect(name))
        thread = threading.Thread(target=observer.run, name="observer", daemon=True)
        thread.start()
        for engine in self._engines:
            followers: dict[str, Callable[[], None]] = {
                "watch": Watcher(engine, self._inbox, self._stopping).run,
                "reconcile": partial(self._reconcilers[engine.alias].run, self._stopping, self._reconcile_seconds),
                "explain": partial(Explainer(engine, self._clock).run, self._stopping),
                "inventory": partial(Inventory(engine, self._clock).run, self._stopping),
            }
            for name, follow in followers.items():
                threading.Thread(target=follow, name=f"{name}-{engine.alias}", daemon=True).start()
        return thread

    def _round(self, carriers: dict[str, _Carriers]) -> float:
        """Do what is due, and return the seconds until something is due again."""
        try:
            return self._do_what_is_due(carriers)
        except Exception:
            # Mostly the database, which may come back.
            logger.exception("Due actions could not be carried out")
            connections.close_all()
            return PAUSE_SECONDS

    def _do_what_is_due(self, carriers: dict[str, _Carriers]) -> float:
        now = self._clock()
        if now >= self._tend_at:
            self._tend_claims(carriers, now)
            outbox.checkpoint()
            self._deadline_at = outbox.next_deadline_at()
            self._tend_at = now + timedelta(seconds=self._sweep_seconds)
        wishes = outbox.wishes(now)
        # Wishes that are due and not done belong to another controller, or failed; the pause prevents a busy loop.
        pause = 0.05
        wish_at = wishes.next_at if self._claim(carriers, wishes.due, now) else now
        if self._deadline_at is not None and self._deadline_at <= now:
            pause = pause if self._expire(now) else PAUSE_SECONDS
            self._deadline_at = outbox.next_deadline_at()
        moments = [moment for moment in (wish_at, self._deadline_at) if moment is not None]
        if not moments:
            return self._sweep_seconds
        return min(self._sweep_seconds, max(pause, (min(moments) - now).total_seconds()))

    def _claim(self, carriers: dict[str, _Carriers], due: Mapping[str, int], now: datetime) -> bool:
        """Hand due wishes to the carriers, and return whether the carriers got all that they can take.

        A carrier wakes the controller when it is free, so the rest need not be looked at before.
        """
        complete = True
        for alias in due.keys() & carriers.keys():
            free = CARRIERS - len(carriers[alias].active)
            claimed = outbox.claim(engine=alias, limit=free, claimed_by=self._identity.name, now=now)
            for each in claimed:
                carriers[alias].take(each.run_id)
            complete = complete and len(claimed) >= min(free, due[alias])
            # A new run has deadlines of its own, and may wait for a carrier beyond them.
            if due[alias] > len(claimed):
                self._deadline_at = outbox.next_deadline_at()
            else:
                known = [self._deadline_at, *(each.deadline_at for each in claimed)]
                self._deadline_at = min(filter(None, known), default=None)
        return complete

    def _expire(self, now: datetime) -> bool:
        """Expire late runs, and return whether all succeeded; a run whose owner fails does not delay others."""
        well = True
        for run_id in outbox.expired(now):
            try:
                run_expire(run_id=run_id, now=now)
            except Exception:
                logger.exception("Run %s: its passed deadline could not be applied", run_id)
                well = False
        return well

    def _tend_claims(self, carriers: dict[str, _Carriers], now: datetime) -> None:
        for holder in outbox.holders():
            if holder == self._identity.name:
                outbox.renew(claimed_by=holder, run_ids=set().union(*(c.active for c in carriers.values())), now=now)
            elif identity.is_dead(holder):
                logger.warning("Controller %s has died; its runs are taken over.", holder)
                outbox.give_back(claimed_by=holder)
                identity.forget(holder)

    def _put_in_order(self) -> None:
        served = [engine.alias for engine in self._engines]
        settle()
        nodes_forgotten(except_of=served)
        unserved = WorkflowRun.objects.exclude(engine__in=served).filter(next_try_at__isnull=False)
        for alias in unserved.order_by().values_list("engine", flat=True).distinct():
            logger.warning("Runs wait for engine %s, which is not configured in ENGINES.", alias)

    def _close(self, carriers: dict[str, _Carriers], observer: threading.Thread) -> None:
        self._stopping.set()
        for reconciler in self._reconcilers.values():
            reconciler.suspect("")
        end = time.monotonic() + CLOSING_SECONDS
        for threads in carriers.values():
            threads.close(max(0.0, end - time.monotonic()))
        self._inbox.close()
        observer.join(0.3)
        outbox.give_back(claimed_by=self._identity.name)
        self._identity.close()
        self._listener.close()
        connections.close_all()
