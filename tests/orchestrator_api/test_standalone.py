import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from orchestrator_api.models import ApiToken
from orchestrator_api.standalone import PROJECT, default_host, main, service_environment
from orchestrator_api.tokens import token_revoke, token_use

# A service of two children that print their ids and then wait for ever. The second minds no polite request when told
# to be deaf, and starts a process that outlives it when told to leave an orphan.
TWO_CHILDREN = """
import os, sys
from orchestrator_api import standalone

standalone.STOP_SECONDS = 0.5
standalone.signal.pthread_sigmask(standalone.signal.SIG_BLOCK, standalone._SIGNALS)
# In one write: both children have the same pipe.
wait = "import os, time; os.write(1, ('{} %d' % os.getpid() + os.linesep).encode()); time.sleep(3600)"
second = wait.format("two")
if "deaf" in sys.argv:
    second = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + second
if "orphan" in sys.argv:
    start = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', {!r}], start_new_session=True);"
    second = start.format(wait.format("orphan")) + second
commands = {"one": wait.format("one"), "two": second}
children = [standalone.Child(name, [sys.executable, "-c", code]) for name, code in commands.items()]
sys.exit(standalone.Service(children, os.environ).run())
"""


@pytest.fixture
def two_children() -> Iterator:
    started = []

    def start(*args: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", TWO_CHILDREN, *args], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def ids(process: subprocess.Popen, count: int = 2) -> dict[str, int]:
    """Return the ids of the next children that start, by name."""
    return {name: int(pid) for name, pid in (process.stdout.readline().split() for _ in range(count))}


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_of_it(two_children, number):
    process = two_children()
    pids = ids(process)
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not any(is_alive(pid) for pid in pids.values())


def test_a_child_that_minds_no_signal_is_stopped_by_force(two_children):
    process = two_children("deaf")
    pids = ids(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert not any(is_alive(pid) for pid in pids.values())


def test_what_a_child_left_behind_is_ended_too(two_children):
    process = two_children("orphan")
    pids = ids(process, count=3)
    os.kill(pids["two"], signal.SIGKILL)
    assert set(ids(process)) == {"two", "orphan"}
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert process.stdout.read() == ""
    assert not is_alive(pids["orphan"])


def test_a_child_that_dies_is_started_again_alone(two_children):
    process = two_children()
    first = ids(process)
    os.kill(first["one"], signal.SIGKILL)
    again = ids(process, count=1)
    assert set(again) == {"one"}
    assert is_alive(first["two"])


def test_children_die_with_a_parent_that_is_killed(two_children):
    process = two_children()
    ids(process)
    process.kill()
    # The pipe ends when nobody is left to write to it.
    assert process.stdout.read() == ""


def test_the_environment_of_one_machine(tmp_path):
    environment = service_environment({"PATH": "/bin"}, tmp_path, "127.0.0.1", 8901)
    assert environment["DATA_DIR"] == str(tmp_path)
    assert environment["LISTEN_ADDRESS"] == "127.0.0.1:8901"
    assert environment["HTTPS_ONLY"] == "false"
    assert environment["PATH"] == "/bin"


def test_what_was_given_counts(tmp_path):
    given = {"SECRET_KEY": "mine", "ALLOWED_HOSTS": "example.org", "LOG_FORMAT": "json", "DATA_DIR": "/elsewhere"}
    environment = service_environment(given, tmp_path, "0.0.0.0", 80)
    assert {name: environment[name] for name in given} == {**given, "DATA_DIR": str(tmp_path)}
    assert environment["LISTEN_ADDRESS"] == "127.0.0.1:80"
    assert not (tmp_path / "secret-key").exists()


def test_the_secret_is_made_once_and_for_nobody_else(tmp_path):
    first, second = (service_environment({}, tmp_path, "127.0.0.1", 1)["SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_two_services_do_not_share_a_folder(tmp_path, capsys):
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        with (tmp_path / "standalone.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert main(["--data-dir", str(tmp_path)]) == 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert "Another service" in capsys.readouterr().err


def test_the_parent_loads_no_django():
    code = "import sys, orchestrator_api.standalone; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def prepare(folder: Path) -> None:
    call_command(
        "prepare", "--admin-token", folder / "token", "--registry-token", folder / "registry-token", stdout=StringIO()
    )


@pytest.fixture
def prepared(db, tmp_path) -> Path:
    prepare(tmp_path)
    return tmp_path


def test_prepare_makes_an_administrator_and_tokens_that_work(prepared):
    admin = token_use(text=(prepared / "token").read_text().strip()).user
    assert (admin.username, admin.is_superuser, admin.has_usable_password()) == ("admin", True, False)
    service = token_use(text=(prepared / "registry-token").read_text().strip()).user
    assert (service.username, service.is_superuser) == ("orchestrator", False)
    assert stat.S_IMODE((prepared / "token").stat().st_mode) == 0o600


def test_prepare_twice_changes_nothing(prepared):
    before = (prepared / "token").read_text()
    prepare(prepared)
    assert (prepared / "token").read_text() == before
    assert (ApiToken.objects.count(), User.objects.count()) == (2, 2)


def test_prepare_replaces_a_token_that_is_no_longer_good(prepared):
    token_revoke(tokens=ApiToken.objects.all())
    prepare(prepared)
    assert token_use(text=(prepared / "token").read_text().strip())


def test_a_management_command_finds_the_data_and_the_secret_of_the_service(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY")
    data_dir = tmp_path / "data"
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "long enough for anybody")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{data_dir}/orchestrator.sqlite3")
    create = ["createsuperuser", "--noinput", "--username", "operator", "--email", ""]

    assert main(["--data-dir", str(data_dir), "--manage", *create]) == 0

    assert (data_dir / "secret-key").exists()
    assert main(["--data-dir", str(data_dir), "--manage", *create]) != 0


def test_a_cluster_reaches_the_service_at_this_machines_own_address(tmp_path):
    try:
        host = default_host({"ENGINE": "argo"})
    except OSError:
        pytest.skip("this machine has no address for others")
    environment = service_environment({"ENGINE": "argo"}, tmp_path, host, 8900)

    assert not host.startswith("127.")
    assert environment["ORCHESTRATOR_API_HOSTNAME"] == f"{host}:8900"
    assert host in environment["ALLOWED_HOSTS"].split(",")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_pods_of_this_machine_call_an_address_that_outlives_the_port(tmp_path, host):
    first, second = (service_environment({}, tmp_path, host, port) for port in (8900, 43211))
    assert first["ORCHESTRATOR_API_HOSTNAME"] == second["ORCHESTRATOR_API_HOSTNAME"] == "127.0.0.1:8900"
    assert second["LISTEN_ADDRESS"] == ("[::1]:43211" if host == "::1" else "127.0.0.1:43211")


@pytest.mark.parametrize("given", [{}, {"ENGINE": "local"}])
def test_the_local_engine_needs_the_loopback_address_only(given):
    assert default_host(given) == "127.0.0.1"


@pytest.mark.parametrize(("announce", "found"), [("node.example", "node.example:8900"), ("n:80", "n:80")])
def test_workflows_are_told_the_announced_address(tmp_path, announce, found):
    environment = service_environment({"ORCHESTRATOR_API_HOSTNAME": "else:1"}, tmp_path, "0.0.0.0", 8900, announce)

    assert environment["ORCHESTRATOR_API_HOSTNAME"] == found
    assert announce.partition(":")[0] in environment["ALLOWED_HOSTS"].split(",")
