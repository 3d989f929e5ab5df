"""How containers start, end and are signalled."""

import ctypes
import os
import signal
import struct
import time
import uuid

import pytest

from engines.local.pods import Mount
from tests.engines.local.processes.world import PATIENCE_SECONDS, processes_with


@pytest.fixture(autouse=True)
def pod(world):
    world.open()


def test_success_is_completed(world):
    world.start("true")
    ended = world.wait()
    assert (ended.pod, ended.container, ended.exit_code, ended.reason) == ("pod", "main", 0, "Completed")


def test_failure_keeps_its_exit_code(world):
    world.start("sh", "-c", "exit 7")
    ended = world.wait()
    assert (ended.exit_code, ended.reason) == (7, "Error")


def test_death_by_signal_is_reported_as_shells_do(world):
    world.start("sh", "-c", "kill -TERM $$")
    assert world.wait().exit_code == 128 + signal.SIGTERM


def test_environment_is_only_what_was_given(world):
    assert world.run("env", env={"COLOUR": "blue"}).splitlines() == ["PATH=/usr/local/bin:/usr/bin:/bin", "COLOUR=blue"]


def test_arguments_pass_unchanged(world):
    text = "two words\n'quotes' \"double\" $HOME äöü \udcff"
    world.start("printf", "%s", text)
    world.wait()
    assert (world.directory / "pod/main.stdout").read_bytes() == text.encode("utf-8", "surrogateescape")


def test_large_environment_passes(world):
    value = "x" * 100_000
    assert world.shell("printf %s $A$B$C | wc -c", env={"A": value, "B": value, "C": value}).strip() == "300000"


def test_output_is_appended(world):
    world.shell("echo one; echo bad >&2")
    world.shell("echo two; echo worse >&2")
    assert world.output() == "one\ntwo\n"
    assert world.output(stream="stderr") == "bad\nworse\n"


def test_nothing_is_inherited_but_the_three_streams(world):
    # ls itself holds the fourth.
    assert world.run("ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]
    assert world.run("readlink", "/proc/self/fd/0").strip() == "/dev/null"


@pytest.fixture
def reserved_signal_ignored():
    """As a process has it whose ancestor ignored every number there is; the C library lets nobody name this one."""
    call = {"x86_64": 13, "aarch64": 134}.get(os.uname().machine)
    if call is None:
        pytest.skip("the number of rt_sigaction is not known here")

    def set_to(disposition):
        action = struct.pack("4Q", disposition, 0, 0, 0)
        assert ctypes.CDLL(None).syscall(call, 32, action, None, 8) == 0

    set_to(signal.SIG_IGN)
    yield
    set_to(signal.SIG_DFL)


def test_signals_that_the_c_library_keeps_are_left_alone(reserved_signal_ignored, world):
    world.open("other")
    assert world.shell("echo done", pod="other") == "done\n"


def test_signals_are_at_their_defaults(world):
    lines = world.run("cat", "/proc/self/status").splitlines()
    masks = {
        name: int(value, 16)
        for name, _, value in (line.partition(":") for line in lines)
        if name[:3] == "Sig" and name != "SigQ"
    }
    # The C library keeps signals 32 and 33 for itself.
    assert (masks["SigBlk"], masks["SigIgn"] & ~(3 << 31)) == (0, 0)


def test_missing_working_directory_is_made(world):
    assert world.run("pwd", working_dir="/usr/application/deep") == "/usr/application/deep\n"


@pytest.mark.parametrize(
    ("argv", "cause"),
    [
        (("no-such-program",), 'exec: "no-such-program": executable file not found in $PATH'),
        (("/no/such/program",), 'exec: "/no/such/program": No such file or directory'),
        (("/etc/passwd",), 'exec: "/etc/passwd": Permission denied'),
        ((), "no command"),
    ],
)
def test_a_program_that_cannot_start_says_why(world, argv, cause):
    world.start(*argv)
    ended = world.wait()
    assert (ended.reason, ended.exit_code, ended.message) == ("StartError", 128, cause)


def test_a_working_directory_that_is_a_file_is_a_start_error(world):
    world.start("true", working_dir="/etc/passwd")
    ended = world.wait()
    assert ended.reason == "StartError"
    assert "/etc/passwd" in ended.message


def test_a_mount_without_a_source_is_a_start_error(world):
    world.start("true", mounts=[Mount(world.directory / "absent", "/data")])
    ended = world.wait()
    assert ended.reason == "StartError"
    assert "absent" in ended.message


def test_output_that_cannot_be_kept_is_an_error(world):
    (world.directory / "pod/main.stdout").mkdir()
    world.start("echo", "lost")
    ended = world.wait()
    assert (ended.reason, ended.exit_code) == ("Error", 74)
    assert ended.message == "its stdout could not be stored: Is a directory"


def test_output_that_cannot_be_gathered_is_an_error(world):
    world.run("echo", "kept", gathered=True)
    (file,) = (world.directory / "pod").glob("gathered-*")
    file.unlink()
    world.runner.close("pod")
    world.open("other")
    (world.directory / "other" / file.name).mkdir()

    world.start("echo", "lost", pod="other", gathered=True)

    ended = world.wait("other")
    assert (ended.reason, ended.exit_code) == ("Error", 74)
    assert ended.message == "its stdout could not be stored: Is a directory"


def test_output_that_cannot_be_kept_ends_who_goes_on_writing(world):
    (world.directory / "pod/main.stdout").mkdir()
    world.start("yes")
    ended = world.wait()
    assert ended.exit_code == 128 + signal.SIGPIPE
    assert "could not be stored" in ended.message


def test_who_writes_nothing_leaves_no_file(world):
    world.shell("true")
    assert list((world.directory / "pod").iterdir()) == []


def test_output_is_kept_while_the_container_runs(world):
    world.start("sh", "-c", "echo early; echo warning >&2; exec sleep 1000")
    world.until(lambda: world.output() == "early\n" and world.output(stream="stderr") == "warning\n")


def test_more_output_than_a_pipe_holds_is_kept_whole(world):
    assert len(world.shell("head -c 3000000 /dev/zero | tr '\\0' x")) == 3_000_000


def test_output_of_what_a_container_leaves_running_is_kept(world):
    world.start("sh", "-c", "(setsid sh -c 'echo late; exec sleep 1000' &); sleep 0.2")
    world.wait()
    assert world.output() == "late\n"


def test_a_container_that_closes_its_output_goes_on(world):
    world.start("sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 3")
    assert world.wait().exit_code == 3


@pytest.mark.parametrize("closing", ["close", "close_all"])
def test_what_was_written_before_the_end_of_a_pod_is_kept(world, closing):
    shared = world.directory / "shared"
    shared.mkdir()
    script = "trap '' TERM; echo written; touch /shared/done; exec sleep 1000"
    world.start("sh", "-c", script, mounts=[Mount(shared, "/shared")])
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (shared / "done").exists():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)
    world.runner.close("pod") if closing == "close" else world.runner.close_all()
    assert world.output() == "written\n"


def test_a_failed_start_leaves_the_pod_usable(world):
    world.start("no-such-program")
    world.wait()
    assert world.shell("echo fine") == "fine\n"


def test_a_signal_reaches_the_whole_tree(world):
    mark = uuid.uuid4().hex
    script = f"(setsid sh -c 'sleep 1000; : {mark}') & sh -c 'trap \"echo got it; exit 3\" TERM; sleep 1000 & wait'"
    world.start("sh", "-c", script + "; exit $?")
    world.until(lambda: len(processes_with(mark)) >= 2)
    world.runner.signal("pod", "main", signal.SIGKILL)
    assert world.wait().exit_code == 137
    assert processes_with(mark) == []


def test_a_program_may_end_itself_on_a_signal(world):
    world.start("sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
    world.until(lambda: world.output() == "ready\n")
    world.runner.signal("pod", "main", signal.SIGTERM)
    world.until(lambda: ("pod", "main") in world.ended)
    assert world.output() == "ready\nbye\n"
    assert world.wait().exit_code == 3


def test_a_signal_after_the_end_does_nothing(world):
    world.shell("true")
    world.runner.signal("pod", "main", signal.SIGTERM)
    assert world.shell("echo fine") == "fine\n"


def test_a_signal_spares_the_other_containers(world):
    world.start("sleep", "1000", name="side")
    world.start("sleep", "1000", name="main")
    world.runner.signal("pod", "main", signal.SIGTERM)
    assert world.wait().exit_code == 143
    assert ("pod", "side") not in world.ended


def test_daemons_end_with_their_container(world):
    mark = uuid.uuid4().hex
    world.start("sleep", "1000", name="side")
    world.shell(f"setsid sh -c 'sleep 1000; : {mark}' & exec true")
    assert processes_with(mark) == []
    assert ("pod", "side") not in world.ended


def test_a_container_cannot_kill_its_pod(world):
    world.start("sh", "-c", "kill -KILL 1; kill -INT 1; kill -TERM 1; echo alive")
    world.wait()
    assert world.output() == "alive\n"


def test_a_name_may_run_again_after_its_end(world):
    assert [world.shell(f"echo {number}") for number in range(3)] == ["0\n", "1\n", "2\n"]


def test_the_death_of_the_first_process_is_reported(world):
    mark = uuid.uuid4().hex
    world.start("sh", "-c", f"sleep 1000; : {mark}")
    world.until(lambda: len(processes_with(mark)) == 1)
    sandbox = next(iter(world.runner._sandboxes))
    sandbox.kill()
    ended = world.wait()
    assert (ended.exit_code, ended.reason) == (137, "Error")
    world.start("true")
    assert world.wait().reason == "StartError"
    world.runner.close("pod")
    world.open()
    assert world.shell("echo again").endswith("again\n")


def test_a_container_that_signals_its_group_ends_nobody_else(world):
    world.start("sleep", "0.5", name="other")
    world.start("sh", "-c", "kill 0; sleep 60")
    assert world.wait().exit_code == 128 + signal.SIGTERM
    assert world.wait(name="other").exit_code == 0
