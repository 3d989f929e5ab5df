"""The images: each has what its programs import and no more, and their entry point knows every program."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.deploy.conftest import PROJECT, pod_templates
from tests.deploy.test_requirements import normalised, pins

ENTRY_POINT = PROJECT / "deploy" / "image" / "orchestrator.py"
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
SERVICE = (
    "engines", "executions", "federated", "manage", "orchestrator_api", "policy", "registry", "runs", "schemas",
    "templates", "web",
)  # fmt: skip
# What each image's programs are, as modules; its list of packages; and what that list has which no import names.
STARTED: Mapping[str, tuple[str, ...]] = {
    "orchestrator": (
        "manage", "orchestrator_api", "orchestrator_api.gunicorn_conf", "orchestrator_api.settings",
        "orchestrator_api.standalone", "orchestrator_api.asgi", "orchestrator_api.management.commands.prepare",
        "federated.management.commands.clean_old_kafka_topics", "runs.management.commands.run_controller",
        "schemas.management.commands.load_schemas",
        # A short process of its own, started by its name and arguments.
        "schemas.manifest.checking",
        # Its local engine starts them.
        "runtime.step_runner.__main__", "runtime.federated_manager.__main__", "runtime.http_artifacts",
    ),
    "processor-resource-manager": ("runtime.step_runner.__main__",),
    "federated-learning-manager": ("runtime.federated_manager.__main__",),
    "sample-ai-engine": ("runtime.sample_ai_engine.__main__",),
}  # fmt: skip
LISTS = {name: f"deploy/image/{name}.txt" for name in STARTED} | {"orchestrator": "requirements.txt"}
# Django's drivers and storages by name, gunicorn as a program.
BY_NAME = {"gunicorn", "psycopg2-binary"}
# One is brought by the other and of its making.
BROUGHT = {"botocore": "boto3", "pydantic": "hera-workflows"}
# The engine knows its program by name; it is left to its own image.
ELSEWHERE = {"runtime.sample_ai_engine"}
TIMEOUT_SECONDS = 120


def copied(image: str) -> list[str]:
    """Return the paths of the project that the Dockerfile copies into an image, without what is only built with."""
    (stage,) = re.findall(rf"^FROM build AS {image}-files\n(.*?)(?=^FROM )", DOCKERFILE, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^COPY (.+) (?!/tmp/)\S+$", stage, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def code_of(image: str) -> set[str]:
    """Return the modules of the project that an image has, but those that act when they are imported."""
    found = set()
    for name in copied(image):
        for path in PROJECT.glob(name if name.endswith(".py") else f"{name}/**/*.py"):
            parts = path.relative_to(PROJECT).with_suffix("").parts
            found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return {each for each in found if not each.endswith((".__main__", ".gunicorn_conf"))}


def file_of(module: str) -> Path | None:
    """Return the file of a module of the project, None for what is another's."""
    path = PROJECT.joinpath(*module.split("."))
    return next((each for each in (path / "__init__.py", path.with_suffix(".py")) if each.exists()), None)


def imported_by(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, or names as a string (settings, lazy imports)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w+(\.\w+)*", node.value)
        ):
            named = [node.value.rpartition(".")[0], node.value] if "." in node.value else []
            yield from (name for name in named if file_of(name) is not None)
            if path == PROJECT / "orchestrator_api" / "settings.py":
                yield node.value if "." in node.value else f"{node.value}.apps"


@cache
def needed(image: str) -> tuple[set[str], set[str]]:
    """Return what an image's programs import, directly or not: modules of the project, and packages of others."""
    found, others, waiting = set[str](), set[str](), list(STARTED[image])
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        path = file_of(name)
        if path is None:
            if file_of(top) is None:
                others.add(top)
        elif name not in found:
            found.add(name)
            waiting.extend([parent for parent in [name.rpartition(".")[0]] if parent])
            waiting.extend(imported_by(path))
            if name.endswith((".apps", ".commands")):
                # Django looks for these beside each app.
                files = (each for each in path.parent.glob("*.py") if each.stem != "__init__")
                waiting.extend(".".join(each.relative_to(PROJECT).with_suffix("").parts) for each in files)
    return found, others - sys.stdlib_module_names


def distributions(packages: set[str]) -> set[str]:
    """Return the names under which packages are installed."""
    known = packages_distributions()
    names = {normalised(each) for package in packages for each in known.get(package, ())}
    return {BROUGHT.get(name, name) for name in names}


def programs() -> list[str]:
    """Return the names that the entry point takes."""
    return [*re.findall(r'^    "([a-z][-a-z]*)": ', ENTRY_POINT.read_text(), re.MULTILINE), "health"]


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
        [sys.executable, "-I", str(ENTRY_POINT), *arguments], cwd=tmp_path, env={**surroundings, **environment},
        capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip


@pytest.mark.parametrize("image", STARTED)
def test_an_image_has_the_code_that_its_programs_import_and_no_folder_more(image: str) -> None:
    modules, _ = needed(image)
    folders = {name for name in copied(image) if not name.endswith((".py", ".json"))}

    acting = {each for each in modules if each.endswith((".__main__", ".gunicorn_conf"))}
    assert modules - acting - code_of(image) - ELSEWHERE == set()
    assert folders == {each for each in folders if each.replace("/", ".") in modules}


@pytest.mark.parametrize("image", STARTED)
def test_an_image_has_the_files_that_lie_beside_its_modules(image: str) -> None:
    folders = {path.parent for module in needed(image)[0] if (path := file_of(module)) is not None}
    taken = {path for name in copied(image) for path in [*PROJECT.glob(name), *PROJECT.glob(f"{name}/**/*")]}
    beside = {each for folder in folders - {PROJECT} for each in folder.iterdir() if each.suffix in (".json", ".yaml")}

    assert {each for each in beside if "sample_ai_engine" not in each.parts} - taken == set()


@pytest.mark.parametrize("image", STARTED)
def test_an_images_list_names_the_packages_that_its_programs_import_and_no_others(image: str) -> None:
    _, packages = needed(image)
    by_name = BY_NAME if image == "orchestrator" else set()

    assert set(pins(LISTS[image])) == distributions(packages) | by_name


def test_the_builder_is_sent_what_is_copied() -> None:
    sent = re.findall(r"^!(\S+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)
    names = {
        name for line in re.findall(r"^COPY ((?!--from).*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    }

    assert {name for name in names if not any(name == each or name.startswith(f"{each}/") for each in sent)} == {
        "--chmod=0755"
    }
    assert {name for name in names if not name.startswith("--") and not list(PROJECT.glob(name))} == set()


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
