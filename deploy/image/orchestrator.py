#!/opt/venv/bin/python -I
"""The entry point of all images: the first argument names the program, the others are the program's own.

Written in Python, so that an image needs no shell.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

# name -> what `python -m` gets. An image has the programs of its own packages.
PROGRAMS: Mapping[str, Sequence[str]] = {
    "api": ("gunicorn", "--config", "python:orchestrator_api.gunicorn_conf"),
    "controller": ("manage", "run_controller"),
    "prepare": ("manage", "prepare"),
    "clean-topics": ("manage", "clean_old_kafka_topics"),
    "manage": ("manage",),
    "standalone": ("orchestrator_api.standalone",),
    "step-runner": ("runtime.step_runner",),
    "federated-manager": ("runtime.federated_manager",),
    "sample-ai-engine": ("runtime.sample_ai_engine",),
}
_USAGE, _LOOKED_SECONDS, _ANSWER_SECONDS = 64, 60.0, 5.0


def main(arguments: Sequence[str]) -> int:
    """Become the program that the first argument names, or return whether the container is alive."""
    name, own = (arguments[0], arguments[1:]) if arguments else ("", ())
    if name == "health":
        return 0 if is_alive(own[0] if own else "1", os.environ) else 1
    if name in PROGRAMS:
        os.execv(sys.executable, [sys.executable, "-m", *PROGRAMS[name], *own])  # noqa: S606 - no shell
    print(f"usage: orchestrator {'|'.join([*PROGRAMS, 'health'])} [ARGUMENT…]", file=sys.stderr)
    return _USAGE


def is_alive(process: str, environment: Mapping[str, str]) -> bool:
    """Return whether a container is alive; the command line of its first process shows which program runs in it.

    A controller is alive if it has looked at its rows within the last minute, an API if it answers. The other programs
    exit by themselves when something is wrong.
    """
    command = Path("/proc", process, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    if "run_controller" in command:
        return _has_looked(Path(environment["DATA_DIR"], "controllers"))
    if "orchestrator_api.standalone" in command:
        # This program chooses its port itself; gunicorn's own options do not change it.
        return _answers({**environment, "GUNICORN_CMD_ARGS": ""})
    return _answers(environment) if "gunicorn" in command else True


def _has_looked(controllers: Path) -> bool:
    youngest = time.time() - _LOOKED_SECONDS
    files = controllers.iterdir() if controllers.is_dir() else ()
    return any(not each.name.startswith(".") and each.stat().st_mtime > youngest for each in files)


def _answers(environment: Mapping[str, str]) -> bool:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("-b", "--bind", action="append")
    given, _ = options.parse_known_args(shlex.split(environment.get("GUNICORN_CMD_ARGS", "")))
    bind = (given.bind or [environment.get("BIND", ":8900")])[0]
    # The API answers only to its own host names.
    host = environment.get("ALLOWED_HOSTS", "").split(",")[0].strip(".*") or "127.0.0.1"
    url = f"http://127.0.0.1:{bind.rpartition(':')[2]}/health/live"
    request = urllib.request.Request(url, headers={"Host": host})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_ANSWER_SECONDS):
            return True
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
