"""The process that runs one Workflow, from its folder to its end. See `layout.py` for the files.

It must start within milliseconds: standard library only, and little of that.
"""

# ruff: noqa: PTH108, PTH118, PTH208

from __future__ import annotations

import contextlib
import importlib
import os
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from engines.local import layout
from engines.local.images import Images
from engines.local.interpreter.machine import Machine
from engines.local.journal import DONE, RESUME, START, STOP, Journal, outcome_of
from engines.local.locks import Locks
from engines.local.pod_files import Shop
from engines.local.pod_host import HostOptions, PodHost
from engines.local.pods import PodRunner
from engines.local.priority import BEYOND_THE_CONTROLLER, give_way
from engines.local.publisher import Publisher
from engines.local.slots import RETRY_SECONDS
from engines.local.volumes import Volumes

SANDBOXES = "sandboxes"
_LONGEST_SLEEP = 3600.0
_DELETE, _STOP, _TERMINATE, _RESUME, _PAUSE = "delete", "stop", "terminate", "resume", "pause"


class Deleted(Exception):
    """The Workflow is wished away."""


class Paused(Exception):
    """The Workflow is to be left as it is, for another supervisor."""


class Supervisor:
    """One Workflow's run."""

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.directory = os.path.join(root, layout.WORKFLOWS, name)
        self.wishes = os.path.join(self.directory, layout.WISHES)
        self.control = layout.listen(self.directory, layout.CONTROL)
        order = layout.read_json(os.path.join(self.directory, layout.ORDER))
        secrets = layout.read_json(os.path.join(self.directory, layout.SECRETS)) or {}
        self.options = order["options"]
        manifest = order["manifest"]
        wall, monotonic = time.time(), time.monotonic()
        # The time of the event that is being told again, while a Workflow is taken up.
        self.told_at: float | None = None
        self.journal = Journal(self.directory)
        # Deadlines must not move with the machine's clock.
        self.machine = Machine(
            manifest,
            uid=order["uid"],
            created_at=order["created_at"],
            clock=lambda: wall + time.monotonic() - monotonic if self.told_at is None else self.told_at,
        )
        fixed = {"name": name, "digest": order["digest"], "uid": order["uid"], "ttl": order["ttl"]}
        self.publisher = Publisher(root, self.directory, self.machine, fixed)
        namespace = manifest["metadata"].get("namespace") or "default"
        self.locks = Locks(root, self.options["max_pods"], namespace)
        self.mutexes = _mutexes(manifest["spec"])
        self.host = self._host(order, secrets, namespace)
        self.poller = select.poll()
        self.heard: list[int] = []

    def _host(self, order: dict[str, Any], secrets: dict[str, dict[str, str]], namespace: str) -> PodHost:
        options, manifest = self.options, order["manifest"]
        shop = Shop(
            directory=self.directory,
            workflow=self.machine.workflow,
            images=Images(options["images"]),
            volumes=Volumes(order["config_maps"], secrets, options["hostpath_allow"]),
            base_environment=options["environment"],
            fields={
                "metadata.namespace": namespace,
                "metadata.uid": order["uid"],
                "spec.nodeName": "",
                "spec.serviceAccountName": manifest["spec"].get("serviceAccountName") or "default",
            },
        )
        host_options = HostOptions(
            nodes=options["nodes"],
            gateways=options["gateways"],
            hidden=options["hidden_paths"],
            grace=options["grace_seconds"],
        )
        daemons = any(template.get("daemon") for template in self.machine.templates.values())
        module, _, name = options["runner"].partition(":")
        make_runner = getattr(importlib.import_module(module), name)
        runner: PodRunner = make_runner(
            Path(self.directory, SANDBOXES), options["readable_paths"], options["max_processes"]
        )
        return PodHost(runner, self.machine, shop, host_options, self.locks, self.journal, shared_world=daemons)

    def run(self) -> None:
        """Run the Workflow to its end."""
        signal.signal(signal.SIGTERM, self._told_to_leave)
        self._forget_pause()
        try:
            if self._begin():
                self._loop()
            self._finish()
        except Deleted:
            self.host.runner.close_all()
        except Paused:
            self._leave()
        except Exception as error:
            traceback.print_exc()
            self._give_up(f"the local engine failed: {error!r}")

    def _begin(self) -> bool:
        """Take the Workflow's mutexes and start it; return False when it was stopped before."""
        machine = self.machine
        while self.mutexes and not machine.strategy and not self.locks.take_all("workflow", self.mutexes):
            message = self.locks.said_of(self.mutexes[0])
            if machine.message != message:
                machine.message = message
                self.publisher.publish()
            self._wait(RETRY_SECONDS)
        machine.message = ""
        if machine.strategy:
            machine.phase, machine.message = "Failed", f"Stopped with strategy '{machine.strategy}'"
            machine.started_at = machine.finished_at = machine.store.now()
            return False
        if self.journal.past:
            self._take_up()
        else:
            machine.start()
            self.journal.write(machine.now(), START)
        self._heed_wishes()
        return True

    def _take_up(self) -> None:
        """Tell the machine what it was told before, each event at its time, and leave to the host what is open."""
        machine, open_actions = self.machine, dict[str, list[tuple[str, Any]]]()
        for entry in self.journal.past:
            self.told_at, kind = entry[0], entry[1]
            if kind == START:
                machine.start()
            else:
                machine.tick()
            for verb, what in machine.take_actions():
                open_actions.setdefault(what.node_id if verb == "run" else what[0], []).append((verb, what))
            if kind == DONE and entry[2] in open_actions:
                del open_actions[entry[2]]
                if entry[3]:
                    machine.pods.scheduled(entry[2], entry[3])
                machine.pods.done(entry[2], outcome_of(entry))
            elif kind == STOP:
                machine.stop(entry[2])
            elif kind == RESUME:
                machine.resume()
        self.told_at = None
        for actions in open_actions.values():
            for verb, what in actions:
                machine.act(verb, what)
        machine.store.changed = True

    def _told_to_leave(self, *_: object) -> None:
        with open(os.path.join(self.wishes, _PAUSE), "w", encoding="utf-8"):  # noqa: PTH123
            pass
        layout.poke(self.directory, layout.CONTROL, b"!")

    def _forget_pause(self) -> None:
        for path in (os.path.join(self.directory, layout.PAUSED), os.path.join(self.wishes, _PAUSE)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _leave(self) -> None:
        """Go, with all pods, and leave word that this was wished."""
        self.journal.save()
        with open(os.path.join(self.directory, layout.PAUSED), "w", encoding="utf-8"):  # noqa: PTH123
            pass
        self.host.abandon()
        shutil.rmtree(os.path.join(self.directory, SANDBOXES), ignore_errors=True)

    def _loop(self) -> None:
        while True:
            self.host.carry_out()
            if self.machine.finished:
                return
            due = self.publisher.due()
            now = time.monotonic()
            if due is not None and due <= now:
                self.publisher.publish()
                due = None
            self._wait(self._timeout(due))
            self.host.tick()
            self.machine.tick()

    def _timeout(self, due: float | None) -> float:
        if self.machine.has_turns:
            return 0.0
        now = time.monotonic()
        timeout = _LONGEST_SLEEP
        if due is not None:
            timeout = due - now
        host_deadline, machine_deadline = self.host.next_deadline(), self.machine.next_deadline()
        if host_deadline is not None:
            timeout = min(timeout, host_deadline - now)
        if machine_deadline is not None:
            timeout = min(timeout, machine_deadline - self.machine.now())
        if self.locks.waiting:
            timeout = min(timeout, RETRY_SECONDS)
        return max(timeout, 0.0)

    def _wait(self, timeout: float) -> None:
        """Sleep until something happens, and take it in."""
        runner, queued = self.host.runner, self.locks.filenos()
        self._listen_to([runner.fileno(), self.control.fileno(), *queued])
        # Rounded up: waking a moment too early would only turn the loop once more.
        events = dict(self.poller.poll(timeout * 1000 + 1 if timeout else 0))
        if not events or any(descriptor in events for descriptor in queued):
            self.locks.look_again()
        if runner.fileno() in events:
            for end in runner.poll():
                self.host.ended(end)
        if self.control.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.control.recv(64)
            self._heed_wishes()

    def _listen_to(self, descriptors: list[int]) -> None:
        if descriptors != self.heard:
            self.poller, self.heard = select.poll(), descriptors
            for descriptor in descriptors:
                self.poller.register(descriptor, select.POLLIN)

    def _heed_wishes(self) -> None:
        for wish in sorted(os.listdir(self.wishes)):
            if wish == _DELETE:
                raise Deleted
            if wish == _PAUSE:
                raise Paused
            if wish in (_STOP, _TERMINATE):
                self._stop("Stop" if wish == _STOP else "Terminate")
            elif wish.startswith(_RESUME):
                os.unlink(os.path.join(self.wishes, wish))
                self.journal.write(self.machine.now(), RESUME)
                self.machine.resume()

    def _stop(self, strategy: str) -> None:
        at, before = self.machine.now(), self.machine.strategy
        self.machine.stop(strategy)
        if self.machine.strategy != before:
            self.journal.write(at, STOP, strategy)

    def _finish(self) -> None:
        self._forget_secrets()
        self.publisher.publish()
        self.host.runner.close_all()
        shutil.rmtree(os.path.join(self.directory, SANDBOXES), ignore_errors=True)
        self.locks.want_nothing()

    def _forget_secrets(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.directory, layout.SECRETS))

    def _give_up(self, message: str) -> None:
        machine = self.machine
        self.host.runner.close_all()
        for node in machine.store.nodes.values():
            if node["finishedAt"] is None:
                machine.store.mark(node, "Error", message)
        machine.phase, machine.message = "Error", message
        machine.finished_at = machine.store.now()
        self._forget_secrets()
        self.publisher.publish()


def _mutexes(spec: dict[str, Any]) -> list[str]:
    wanted = spec.get("synchronization") or {}
    mutexes = [*(wanted.get("mutexes") or ()), *([wanted["mutex"]] if wanted.get("mutex") else ())]
    return sorted({mutex["name"] for mutex in mutexes})


def main(arguments: list[str]) -> int:
    """Run the Workflow that `[root, name]` names; descriptor 3 holds its lock."""
    root, name = arguments
    give_way(BEYOND_THE_CONTROLLER)
    Supervisor(root, name).run()
    sys.stdout.flush()
    return 0
