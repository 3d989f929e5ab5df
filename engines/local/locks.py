"""The places, mutexes and semaphores that one Workflow's pods hold."""

# ruff: noqa: PTH118

from __future__ import annotations

import hashlib
import os

from engines.local import layout
from engines.local.interpreter.locking import Lock
from engines.local.interpreter.pod_nodes import PodOrder
from engines.local.slots import Slots


class Locks:
    """The locks that this Workflow holds and waits for."""

    def __init__(self, root: str, places: int, namespace: str) -> None:
        self._root = root
        self._namespace = namespace
        self._places = Slots(os.path.join(root, layout.SLOTS), places)
        self._held: dict[str, int] = {}
        self._spare: list[int] = []
        # No place is free: try again only after a wake-up.
        self._full = False
        self._locks: dict[Lock, Slots] = {}
        self._held_locks: dict[str, dict[Lock, int]] = {}

    def filenos(self) -> list[int]:
        """Return the descriptors to wait on."""
        return [fd for fd in (slots.fileno() for slots in (self._places, *self._locks.values())) if fd >= 0]

    @property
    def waiting(self) -> bool:
        """Whether this Workflow waits for a place or a lock."""
        return bool(self.filenos())

    def look_again(self) -> None:
        """Handle that a place may have become free."""
        self._full = False

    def take_place(self, holder: str) -> bool:
        """Take a place for a pod; False when it has to wait."""
        if self._spare:
            self._held[holder] = self._spare.pop()
            return True
        place = None if self._full else self._places.take()
        if place is None:
            self._full = True
            return False
        self._held[holder] = place
        return True

    def give_back(self, holder: str, *, keep_place: bool) -> None:
        """Release a pod's locks; its place may be kept for the next pod if no other Workflow waits for one."""
        place = self._held.pop(holder, None)
        if place is not None:
            if keep_place and not self._places.others_wait():
                self._spare.append(place)
            else:
                self._places.free(place)
                self._full = False
        for lock, place in self._held_locks.pop(holder, {}).items():
            self._locks[lock].free(place)

    def want_nothing(self) -> None:
        """Leave the queue for places and free unused kept ones."""
        for place in self._spare:
            self._places.free(place)
        self._spare.clear()
        self._places.leave_queue()

    def take_locks(self, order: PodOrder) -> bool:
        """Take all locks of a pod, or none."""
        return not order.locks or self.take_all(order.node_id, order.locks)

    def take_all(self, holder: str, wanted: list[Lock]) -> bool:
        """Take locks in the given order; False when one is not free."""
        held = self._held_locks.setdefault(holder, {})
        for lock in wanted:
            if lock in held:
                continue
            if lock not in self._locks:
                name = lock.name if lock.kind == "Mutex" else f"{lock.kind}/{lock.name}"
                folder = hashlib.sha256(f"{self._namespace}/{name}".encode()).hexdigest()[:32]
                self._locks[lock] = Slots(os.path.join(self._root, layout.MUTEXES, folder), lock.limit)
            place = self._locks[lock].take()
            if place is None:
                return False
            held[lock] = place
        return True

    def said(self, order: PodOrder) -> str:
        """Return Argo's message for a pod that waits for a lock."""
        return self.said_of(order.locks[0])

    def said_of(self, lock: Lock) -> str:
        """Return Argo's message for a wait for a lock."""
        return f"Waiting for {self._namespace}/{lock.kind}/{lock.name} lock. Lock status: 0/{lock.limit}"
