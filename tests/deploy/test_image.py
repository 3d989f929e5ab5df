"""The image: all the code that its programs import is in it, and its entry point knows every program."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.deploy.conftest import PROJECT, pod_templates

ENTRY_POINT = PROJECT / "deploy" / "image" / "orchestrator"
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
STARTED = ("orchestrator_api", "runtime", "manage")
TIMEOUT_SECONDS = 120


def copied() -> set[str]:
    """Return the names of the project that the Dockerfile copies, without what is only installed from."""
    lines = re.findall(r"^COPY ((?!--from).*) \S+$", DOCKERFILE, re.MULTILINE)
    return {name for line in lines for name in line.split() if not name.endswith(".lock")}


def imported_by(name: str) -> Iterator[str]:
    """Yield the project's packages and modules that one of them imports."""
    for path in (PROJECT / name).rglob("*.py") if (PROJECT / name).is_dir() else [PROJECT / f"{name}.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [str(node.module)]
            else:
                continue
            for top in {module.partition(".")[0] for module in modules}:
                if (PROJECT / top / "__init__.py").exists():
                    yield top


def needed() -> set[str]:
    """Return what the programs import, directly or not."""
    found, waiting = set[str](), list(STARTED)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imported_by(name))
    return found


def programs() -> list[str]:
    """Return the names that the entry point takes."""
    return re.findall(r"^    ([a-z][-a-z]*)\) ", ENTRY_POINT.read_text(), re.MULTILINE)


def run(*arguments: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point with this project in the place of the image's."""
    surroundings = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "PYTHONSAFEPATH": "1",
        "SECRET_KEY": "only for this test, and long enough to be taken for one in production",
        "DATA_DIR": str(tmp_path),
    }
    return subprocess.run(
        [str(ENTRY_POINT), *arguments], cwd=tmp_path, env={**surroundings, **environment},
        capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip


def test_all_that_the_programs_import_is_in_the_image() -> None:
    packages = {name.removesuffix(".py") for name in copied()}
    by_name = {"executions", "registry", "runs", "schemas", "engines"}  # named in settings only

    assert needed() | by_name <= packages
    assert {name for name in copied() if not (PROJECT / name).exists()} == set()


def test_the_builder_is_sent_what_is_copied() -> None:
    sent = re.findall(r"^!(\S+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)

    assert {name for name in copied() if not any(name == each or name.startswith(f"{each}/") for each in sent)} == set()


def test_every_program_of_the_pods_has_a_name() -> None:
    modules = {path.parent.name for path in (PROJECT / "runtime").glob("*/__main__.py")}

    assert {module.replace("_", "-") for module in modules} <= set(programs())


def test_what_the_dockerfile_and_the_manifests_start_is_a_program() -> None:
    entries = re.findall(r'^ENTRYPOINT \["/usr/local/bin/orchestrator", "([-a-z]+)"\]$', DOCKERFILE, re.MULTILINE)
    default = re.findall(r'^CMD \["([-a-z]+)"\]$', DOCKERFILE, re.MULTILINE)
    started = [template["spec"]["containers"][0]["args"][0] for template in pod_templates().values()]

    assert len(entries) == 3
    assert {*entries, *default, *started} <= set(programs())


@pytest.mark.parametrize(
    "program",
    ["api", "controller", "prepare", "clean-topics", "manage", "standalone", "step-runner", "federated-manager"],
)
def test_a_program_starts(program: str, tmp_path: Path) -> None:
    result = run(program, "--help", tmp_path=tmp_path)

    assert result.returncode == 0, result.stderr


def test_the_sample_ai_engine_starts_where_it_is_told_the_platforms_variables(tmp_path: Path) -> None:
    result = run("sample-ai-engine", tmp_path=tmp_path)

    assert (result.returncode, "the AI engine cannot start" in result.stdout) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("no-such-program",)])
def test_another_name_is_answered_with_the_known_ones(arguments: tuple[str, ...], tmp_path: Path) -> None:
    result = run(*arguments, tmp_path=tmp_path)
    named = re.search(r"usage: orchestrator (\S+)", result.stderr)

    assert result.returncode == 64
    assert named is not None
    assert named[1].split("|") == programs()


@pytest.fixture
def first_process() -> Iterator[Callable[[str], int]]:
    """Give a function that starts a process which looks like a container's first one, and returns its id."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", name]))
        return started[-1].pid

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """Give the port of a server that is alive, and the list of the host names under which it was asked."""
    hosts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(200 if self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port, hosts
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("minutes", "code"), [(0, 0), (2, 1)])
def test_a_controller_is_alive_as_long_as_its_file_is_young(
    first_process: Callable[[str], int], tmp_path: Path, minutes: int, code: int
) -> None:
    file = tmp_path / "controllers" / "me"
    file.parent.mkdir()
    file.touch()
    changed_at = file.stat().st_mtime - 60 * minutes
    os.utime(file, (changed_at, changed_at))

    assert run("health", str(first_process("run_controller")), tmp_path=tmp_path).returncode == code


def test_an_api_is_alive_when_it_answers_to_its_own_name(
    first_process: Callable[[str], int], asked: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, hosts = asked
    surroundings = {"BIND": f"0.0.0.0:{port}", "ALLOWED_HOSTS": "api.example,other.example"}

    result = run("health", str(first_process("gunicorn")), tmp_path=tmp_path, **surroundings)

    assert (result.returncode, hosts) == (0, ["api.example"])


def test_an_api_is_asked_at_the_port_that_gunicorns_own_options_name(
    first_process: Callable[[str], int], asked: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, hosts = asked
    surroundings = {"GUNICORN_CMD_ARGS": f"--workers 2 --bind=0.0.0.0:{port}", "ALLOWED_HOSTS": "api.example"}

    assert run("health", str(first_process("gunicorn")), tmp_path=tmp_path, **surroundings).returncode == 0
    assert hosts == ["api.example"]


def test_an_api_that_does_not_answer_is_not_alive(first_process: Callable[[str], int], tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        bind = f"0.0.0.0:{nobody.getsockname()[1]}"

        assert run("health", str(first_process("gunicorn")), tmp_path=tmp_path, BIND=bind).returncode == 1
