"""Wrong settings at every entry point: exit code 2 and a line for each, no traceback, and nothing of a secret."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator_api.environment.reading import Environment, WrongSettings

PROJECT = Path(__file__).resolve().parent.parent.parent
RIGHT = {"SECRET_KEY": "x" * 60, "ALLOWED_HOSTS": "orchestrator.example"}
IMAGE = (sys.executable, str(PROJECT / "deploy" / "image" / "orchestrator.py"))
GUNICORN = (sys.executable, "-m", "gunicorn", "--config", "python:orchestrator_api.gunicorn_conf")
STANDALONE = (sys.executable, "-m", "orchestrator_api.standalone", "--port", "0")
MANAGE = (sys.executable, "manage.py")
ENTRY_POINTS = {
    "manage.py migrate": (*MANAGE, "migrate"),
    "manage.py run_controller": (*MANAGE, "run_controller"),
    "manage.py runserver": (*MANAGE, "runserver"),
    "manage.py help": (*MANAGE, "help"),
    "gunicorn": GUNICORN,
    "standalone": STANDALONE,
    "standalone --manage": (*STANDALONE, "--manage", "check"),
    "the image's api": (*IMAGE, "api"),
    "the image's controller": (*IMAGE, "controller"),
    "the image's prepare": (*IMAGE, "prepare"),
    "the demo's service": (sys.executable, "-m", "usage_scripts.demo"),
}


def start(command: tuple[str, ...], data_dir: Path, **given: str) -> tuple[int, str]:
    """Run a program of the service as an operator does; return its exit code and all that it said."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(PROJECT), "DATA_DIR": str(data_dir)}
    done = subprocess.run(
        command, cwd=PROJECT, env={**own, **given}, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("entry", [name for name in ENTRY_POINTS if name != "the demo's service"])
def test_wrong_values_are_told_at_every_entry(entry: str, tmp_path: Path) -> None:
    wrong = {"LOG_LEVEL": "chatty", "EXECUTION_DEADLINE_SECONDS": "soon"}
    code, said = start(ENTRY_POINTS[entry], tmp_path / "data", **RIGHT, **wrong)

    assert code == 2, said
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith(tuple(wrong))]
    assert len(lines) == 2
    assert all(": expected " in line for line in lines)


@pytest.mark.parametrize("program", ["api", "controller", "prepare"])
def test_an_image_without_environment_names_what_is_missing(program: str, tmp_path: Path) -> None:
    code, said = start((*IMAGE, program), tmp_path / "data")

    assert code == 2, said
    assert re.search("^missing settings: SECRET_KEY .*ALLOWED_HOSTS ", said, re.MULTILINE), said
    assert "Traceback" not in said


def test_the_demo_says_what_kept_its_service_from_starting(tmp_path: Path) -> None:
    code, said = start(ENTRY_POINTS["the demo's service"], tmp_path / "data", LOG_LEVEL="chatty")

    assert code != 0
    assert "LOG_LEVEL=chatty: expected" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("entry", ["standalone", "gunicorn", "runserver"])
def test_a_busy_port_is_told(entry: str, taken_port: int, tmp_path: Path) -> None:
    command = {
        "standalone": (*STANDALONE[:-1], str(taken_port)),
        "gunicorn": GUNICORN,
        "runserver": (*MANAGE, "runserver", f"127.0.0.1:{taken_port}"),
    }[entry]
    code, said = start(command, tmp_path / "data", **RIGHT, BIND=f"127.0.0.1:{taken_port}")

    assert code == 2, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if str(taken_port) in line]
    assert "another program listens on this port; expected a free port" in line


def test_a_port_that_is_none_is_told_by_the_development_server(tmp_path: Path) -> None:
    code, said = start((*MANAGE, "runserver", "127.0.0.1:99999"), tmp_path / "data", **RIGHT)

    assert (code, "Traceback" in said) == (2, False)
    assert "127.0.0.1:99999: expected a port up to 65535" in said


@pytest.mark.parametrize("option", ["--port=99999", "--port=-1", "--port=http", "--host=nowhere.invalid"])
def test_a_wrong_address_is_told(option: str, tmp_path: Path) -> None:
    code, said = start((*STANDALONE, option), tmp_path / "data")

    assert (code, "Traceback" in said) == (2, False)
    assert option.partition("=")[2] in said


@pytest.mark.parametrize("entry", ["standalone", "gunicorn", "manage.py migrate"])
@pytest.mark.parametrize("folder", ["file/data", "/proc/nowhere/data"])
def test_a_data_folder_that_cannot_be_is_told(entry: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = start(ENTRY_POINTS[entry], tmp_path / folder, **RIGHT)

    assert code == 2, said
    assert "Traceback" not in said
    assert "DATA_DIR=" in said


URLS = (
    "postgres//operator:{}@database/name",
    "postgres:/operator:{}@database/name",
    "postgres://operator:{}@database",
    "postgres://operator:{}@database:port/name",
    "postgres://operator:{}#x@database/name",
    "postgres://operator:{}/x@database:5432/name",
    "postgres://operator:{}?x@database:5432/name",
    "postgres://operator:x@{}@database:many/name",
    "postgres://operator:[{}@database/name",
    "postgres://operator:{}",
    "mysql://operator:{}@database/name",
    "sqlite://operator:{}@database/name",
    "operator:{}@database",
    "host=database password={}",
    "{}",
)


@pytest.mark.parametrize("url", URLS)
def test_a_wrong_database_url_keeps_its_password(url: str) -> None:
    secret = "hunter2-Secret"
    with pytest.raises(WrongSettings) as caught:
        Environment({**RIGHT, "DATABASE_URL": url.format(secret)})

    said = "\n".join(caught.value.faults)
    assert said.startswith("DATABASE_URL=")
    assert "hunter2" not in said
    # Nor does a traceback show it, should anybody print one.
    assert "hunter2" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORAGE_URL", "s3//key:hunter2@bucket"),
        ("STORAGE_URL", "s3://key:hunter2@bucket?endpoint=https://store.example"),
        ("STORAGE_URL", "azure://key:hunter2@bucket"),
        ("STORAGE_URL", "s3://key:[hunter2@bucket"),
        ("MAAS_API_TOKEN", "hunter2 with spaces"),
        ("MAAS_API_TOKEN", "hunter2\nand a line"),
        ("LOCAL_ENGINE_IMAGES", '{"mine:*": {"env": {"PASSWORD": "hunter2"}}'),
        ("LOCAL_ENGINE_IMAGES", '{"mine:*": {"env": {"PASSWORD": "hunter2"}, "comand": []}}'),
        ("KAFKA_BOOTSTRAP_SERVERS", "SASL_SSL://operator:hunter2,x@broker:9092"),
        ("ORCHESTRATOR_API_HOSTNAME", "https://operator:hunter2@orchestrator.example"),
        ("CSRF_TRUSTED_ORIGINS", "https://operator:hunter2@orchestrator.example"),
        ("IMAGE_REGISTRY", "operator:hunter2@registry.example"),
    ],
)
def test_other_wrong_values_keep_theirs(name: str, value: str) -> None:
    with pytest.raises(WrongSettings) as caught:
        Environment({**RIGHT, name: value})

    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}=")
    assert "hunter2" not in fault


@pytest.mark.parametrize("secret", ["$hunter2", "hunter2\n"])
def test_no_secret_is_taken_for_something_else(secret: str, tmp_path: Path) -> None:
    code, said = start((*MANAGE, "check"), tmp_path / "data", **{**RIGHT, "SECRET_KEY": secret}, LOG_FORMAT="text")

    assert code == 0, said
    assert "hunter2" not in said


def test_a_name_cannot_forge_a_line(tmp_path: Path) -> None:
    forged = "VALID_DATA_PARTNER\n12:00:00 error forged"
    _, said = start((*MANAGE, "check"), tmp_path / "data", **RIGHT, **{forged: "x"}, LOG_FORMAT="text")

    assert "did you mean VALID_DATA_PARTNERS?" in said
    assert not [line for line in said.splitlines() if line.startswith("12:00:00 error forged")]


UNREACHABLE = {
    "nobody listens": "postgres://operator:hunter2@127.0.0.1:1/name",
    "no such host": "postgres://operator:hunter2@nowhere.invalid/name",
    "no such option": "postgres://operator:hunter2@127.0.0.1:1/name?nonsense=1",
    "no such mode": "postgres://operator:hunter2@127.0.0.1:1/name?sslmode=hunter2",
    "no such folder": "sqlite:////proc/nowhere/orchestrator.sqlite3",
    "no tables": "",
}


@pytest.mark.parametrize("why", UNREACHABLE)
def test_a_database_that_cannot_be_is_told(why: str, tmp_path: Path) -> None:
    code, said = start((*MANAGE, "run_controller"), tmp_path / "data", **RIGHT, DATABASE_URL=UNREACHABLE[why])

    assert code == 2, said
    assert "Traceback" not in said
    assert "hunter2" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("the database")]
    assert "DATABASE_URL" in line


def test_warnings_are_told_once_by_all_of_a_service(tmp_path: Path) -> None:
    """Of a service of several processes, which is stopped as soon as it serves."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "DATA_DIR": str(tmp_path / "data"), "VALID_DATA_PARTNER": "a"}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(STANDALONE, cwd=PROJECT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for("Listening at", log, process)
    finally:
        process.terminate()
        process.wait(60)

    assert log.read_text().count("did you mean VALID_DATA_PARTNERS?") == 1


def _wait_for(words: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if words in log.read_text() or process.poll() is not None:
            return
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
