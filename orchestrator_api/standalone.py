"""The whole service on one machine: `python -m orchestrator_api.standalone`.

One small parent makes the data folder and its secrets, then runs two children and restarts them when they die: the
API under gunicorn, and the controller. The parent holds the listening socket, so callers wait during a restart of the
API. The children die with the parent, however it dies.

SIGINT or SIGTERM stops everything, also the orphans of the local engine, above all the supervisors of running
Workflows: the kernel makes them children of this process, which sends them SIGTERM. A supervisor then stops where it
is, so that the engine of the next start can go on from there.

Imports no Django: this process stays as small as it can be.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from engines.local.priority import give_way
from orchestrator_api.environment.choices import DEFAULT_DATA_DIR, TOLD, engine_of, is_development
from orchestrator_api.environment.ports import reason_of
from orchestrator_api.logs import JsonFormatter, TextFormatter
from orchestrator_api.privacy import keep_private, start_private

logger = logging.getLogger("orchestrator.standalone")

PROJECT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15.0
# As wrong settings end every program of the service.
_WRONG_SETTINGS = 2
_LOCK = "standalone.lock"
_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0
# A child that lived as long as this has started well: its next restart is at once.
_HEALTHY_SECONDS = 30.0
_SIGNALS = frozenset({signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
# An address for documentation (RFC 5737): nothing is sent to it, the kernel only chooses the route.
_SOMEWHERE_ELSE = ("192.0.2.1", 9)
# Callers wait for the API; a run can wait a moment. Pods have a still lower priority.
_CONTROLLER_NICENESS = 5
# The address that pods of the local engine call, whatever the service's port: it stays after a restart.
_ADDRESS_IN_PODS = "127.0.0.1:8900"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class WrongOption(Exception):
    """A wrong option or setting; the text is one line that names it."""


@dataclass
class Child:
    """A process that runs as long as the service."""

    name: str
    command: Sequence[str]
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    backoff_seconds: float = field(default=_FIRST_BACKOFF_SECONDS)
    niceness: int = 0

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the process; it gets its own group, so that a Ctrl-C reaches the parent alone."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            pass_fds=self.pass_fds,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid(), self.niceness),  # noqa: PLW1509 - this process has one thread
        )

    def reap(self) -> bool:
        """Return whether the process has ended, and plan its next start."""
        if self.process is None or self.process.poll() is None:
            return False
        lived = time.monotonic() - self.started_at
        if lived > _HEALTHY_SECONDS:
            self.backoff_seconds = _FIRST_BACKOFF_SECONDS
        logger.warning(
            "%s ended with %s after %.1f s; next start in %.1f s",
            self.name, self.process.returncode, lived, self.backoff_seconds,
        )  # fmt: skip
        self.process = None
        self.start_again_at = time.monotonic() + self.backoff_seconds
        self.backoff_seconds = min(self.backoff_seconds * 2, _LONGEST_BACKOFF_SECONDS)
        return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until a signal stops it; return the exit code."""
    options = _parse(arguments)
    start_private()
    try:
        return _run(options)
    except WrongOption as error:
        print(error, file=sys.stderr)
        return _WRONG_SETTINGS


def _run(options: argparse.Namespace) -> int:
    data_dir = Path(options.data_dir).absolute()
    for path in _closed_to_others(data_dir):
        print(f"{path} belongs to another user, and other users can read it.", file=sys.stderr)
    host = options.host or _own_host()
    if options.manage:
        environment = service_environment(os.environ, data_dir, host, options.port, options.announce)
        return _manage(options.manage, environment, data_dir)
    # Blocked from here on, so that no signal is lost between two waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    lock = _lock(data_dir)
    if lock is None:
        print(f"Another service is running on {data_dir}.", file=sys.stderr)
        return 1
    with lock, _listen(host, options.port) as listener:
        port = listener.getsockname()[1]
        environment = service_environment(os.environ, data_dir, host, port, options.announce)
        _set_up_logging(environment["LOG_FORMAT"])
        _empty(data_dir / "uploads")
        if code := _prepare(environment, data_dir):
            return code
        environment.setdefault("MAAS_API_TOKEN", (data_dir / "registry-token").read_text().strip())
        # This process has reported them; its children do not.
        environment[TOLD] = "true"
        logger.info("http://%s:%s serves %s; the token is in %s", host, port, data_dir, data_dir / "token")
        return Service(_children(listener.fileno()), environment).run()


class Service:
    """The children, kept running until a signal ends the service."""

    def __init__(self, children: Sequence[Child], environment: Mapping[str, str]) -> None:
        self.children = children
        self.environment = environment

    def run(self) -> int:
        """Start the children and start them again as they die; return once all have been stopped."""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            while True:
                now = time.monotonic()
                for child in self.children:
                    if child.process is None and child.start_again_at <= now:
                        child.start(self.environment)
                if self._wait() in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    return 0
                for child in self.children:
                    child.reap()
                self._reap_orphans()
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop every child, by force when it takes too long."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        give_up_at = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, give_up_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for child in self.children:
            child.process = None
        self._end_orphans()
        logger.info("stopped")

    def _end_orphans(self) -> None:
        """End the orphans of the children, and the orphans of those."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            give_up_at, told = time.monotonic() + STOP_SECONDS, set[int]()
            while orphans := _children_of(os.getpid()):
                for pid in orphans - told:
                    os.kill(pid, number)
                told |= orphans
                if time.monotonic() >= give_up_at:
                    break
                # No signal tells of an orphan's orphan: look again after a moment.
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
                self._reap_orphans()

    def _reap_orphans(self) -> None:
        """Reap processes that are not the two children."""
        own = {child.process.pid for child in self.children if child.process is not None}
        for pid in _children_of(os.getpid(), only_ended=True) - own:
            os.waitpid(pid, 0)

    def _wait(self) -> int | None:
        """Wait for a signal or the next planned start; return the signal."""
        planned = [child.start_again_at for child in self.children if child.process is None]
        if not planned:
            return signal.sigwait(_SIGNALS)
        received = signal.sigtimedwait(_SIGNALS, max(0.0, min(planned) - time.monotonic()))
        return received.si_signo if received else None


def default_host(given: Mapping[str, str]) -> str:
    """Return the address to listen on where none was chosen.

    Pods of the local engine reach the loopback address; those of a cluster need the address that this machine has for
    others. Raises OSError where it has none.
    """
    if engine_of(given) == "local":
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_SOMEWHERE_ELSE)
        return str(probe.getsockname()[0])


def service_environment(
    given: Mapping[str, str], data_dir: Path, host: str, port: int, announce: str = ""
) -> dict[str, str]:
    """Return the environment of the children: the given one, with defaults for one machine.

    `announce` is the host, or host:port, under which Workflows find the service; where it listens when empty.
    """
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound
    listens_at = f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"
    announced_host, _, announced_port = announce.partition(":")
    hosts = ["127.0.0.1", "localhost", reachable, *([announced_host] if announce else [])]
    defaults = {
        "ALLOWED_HOSTS": ",".join(dict.fromkeys(hosts)),
        # No proxy ends TLS before this port.
        "HTTPS_ONLY": "false",
        "LOG_FORMAT": "text",
        "PYTHONUNBUFFERED": "1",
    }
    if announce:
        announced = {"ORCHESTRATOR_API_HOSTNAME": f"{announced_host}:{announced_port or port}"}
    elif "ORCHESTRATOR_API_HOSTNAME" in given:
        announced = {}
    elif engine_of(given) == "local":
        announced = {"ORCHESTRATOR_API_HOSTNAME": _ADDRESS_IN_PODS, "LISTEN_ADDRESS": listens_at}
    else:
        announced = {"ORCHESTRATOR_API_HOSTNAME": listens_at}
    environment = {
        **defaults,
        **given,
        **announced,
        "DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "orchestrator_api.settings",
    }
    if not given.get("SECRET_KEY") and not is_development(given):
        environment["SECRET_KEY"] = _secret_key(data_dir / "secret-key")
    return environment


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m orchestrator_api.standalone", description="Run the whole service.")
    parser.add_argument(
        "--host", default="", help="address to listen on: the loopback one, or this machine's own with ENGINE=argo"
    )
    parser.add_argument("--port", type=_port, default=8900, help="port to listen on; 0 takes a free one")
    parser.add_argument(
        "--announce",
        default="",
        metavar="HOST[:PORT]",
        help="the address at which Workflows reach the service, if it is another one",
    )
    parser.add_argument(
        "--data-dir", default=os.environ.get("DATA_DIR") or str(DEFAULT_DATA_DIR), help="the folder of all data"
    )
    parser.add_argument(
        "--manage", nargs=argparse.REMAINDER, metavar="COMMAND",
        help="run one of manage.py's commands on this data instead of the service, e.g. `changepassword admin`",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: expected a whole number from 0 to {2**16 - 1}")
    return int(text)


def _set_up_logging(log_format: str) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _lock(data_dir: Path) -> IO[str] | None:
    """Lock the data folder for this process; return None when another process has it."""
    file = (data_dir / _LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise WrongOption(f"--host={host} --port={port}: {reason_of(error)}") from error


def _own_host() -> str:
    try:
        return default_host(os.environ)
    except OSError as error:
        raise WrongOption(f"--host: expected an address that pods of a cluster can reach ({error.strerror})") from error


def _closed_to_others(data_dir: Path) -> list[Path]:
    """Make the data folder and close it to other users; return the paths that belong to other users."""
    try:
        foreign = keep_private(data_dir)
        (data_dir / _LOCK).touch(0o600)
    except OSError as error:
        raise WrongOption(f"DATA_DIR={data_dir}: expected a writable folder ({error.strerror})") from error
    return foreign


def _secret_key(path: Path) -> str:
    """Return the installation's own secret, made at its first start."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    text = secrets.token_urlsafe(64)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return text


def _empty(uploads: Path) -> None:
    """Delete the remains of interrupted uploads; the lock keeps other processes off the folder."""
    for path in uploads.glob("*.upload*"):
        path.unlink(missing_ok=True)


def _prepare(environment: Mapping[str, str], data_dir: Path) -> int:
    """Migrate the database in a separate process; return its exit code."""
    arguments = ["--admin-token", str(data_dir / "token"), "--registry-token", str(data_dir / "registry-token")]
    command = [sys.executable, "manage.py", "prepare", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=dict(environment), check=False, timeout=600, preexec_fn=_die_with(os.getpid())
    ).returncode


def _manage(command: Sequence[str], environment: Mapping[str, str], data_dir: Path) -> int:
    """Run a management command as the service would, with its database and secret; return its exit code."""
    if not (data_dir / "token").exists() and (code := _prepare(environment, data_dir)):
        return code
    return subprocess.run(
        [sys.executable, "manage.py", *command], cwd=PROJECT, env=dict(environment), check=False
    ).returncode


def _children(listener: int) -> list[Child]:
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:orchestrator_api.gunicorn_conf"]
    return [
        Child("the API", [*gunicorn, "--bind", f"fd://{listener}"], pass_fds=[listener]),
        Child("the controller", [sys.executable, "manage.py", "run_controller"], niceness=_CONTROLLER_NICENESS),
    ]


def _children_of(parent: int, only_ended: bool = False) -> set[int]:
    """Return the ids of a process's children, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent_id = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it went while we looked
        if int(parent_id) == parent and (state == "Z" or not only_ended):
            found.add(int(stat.parent.name))
    return found


def _die_with(parent: int, niceness: int = 0) -> Callable[[], None]:
    """Return the function that a child runs before its program: it sets the parent-death signal and the niceness."""
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if niceness:
            give_way(niceness)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return tie


if __name__ == "__main__":
    sys.exit(main())
