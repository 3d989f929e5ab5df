import threading
from datetime import UTC, datetime, timedelta

import pytest

from engines.base import ClusterNode, EngineUnavailable, WorkflowPhase
from engines.recording import RecordingEngine
from runs.explanations import AT_A_TIME, Explainer, explain_end, run_end_explained, run_waiting_explained
from runs.inventory import nodes_written
from runs.models import RunEvent, WorkflowRun
from runs.services import run_expire, run_observe, run_stop, run_vanish

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PENDING = {"a": {"type": "Pod", "phase": "Pending", "displayName": "train"}}
RUNNING = {"a": {"type": "Pod", "phase": "Running", "displayName": "train"}}


class Clock:
    now = START

    def __call__(self):
        return self.now

    def forward(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster():
    return RecordingEngine("double")


@pytest.fixture
def explainer(cluster, clock):
    return Explainer(cluster, clock)


@pytest.fixture
def waiting(make_run, status_of, clock):
    """Return a function that makes runs whose only pod waits."""

    def make(**given):
        run = make_run(now=clock(), **given)
        run_observe(run_id=run.pk, status=status_of(run, nodes=PENDING), now=clock())
        return run

    return make


def now_of(run):
    return WorkflowRun.objects.get(pk=run.pk)


def told(run):
    return list(RunEvent.objects.filter(run=run, to_phase="running", from_phase="running").values_list("message"))


def asked(cluster):
    return [name for verb, name in cluster.calls if verb == "explain"]


@pytest.mark.parametrize(
    ("phase", "nodes", "waits"),
    [
        (WorkflowPhase.PENDING, {}, True),
        (WorkflowPhase.RUNNING, {}, True),
        (WorkflowPhase.RUNNING, PENDING, True),
        (WorkflowPhase.RUNNING, {**RUNNING, "b": PENDING["a"]}, True),
        (WorkflowPhase.RUNNING, RUNNING, False),
        (WorkflowPhase.SUCCEEDED, PENDING, False),
    ],
)
def test_a_run_waits_while_something_of_it_has_yet_to_start(make_run, status_of, phase, nodes, waits):
    run = make_run()

    run_observe(run_id=run.pk, status=status_of(run, phase, nodes=nodes), now=START)

    assert now_of(run).waiting_since == (START if waits else None)


def test_the_wait_counts_from_its_beginning(make_run, status_of, waiting):
    run = waiting()

    run_observe(run_id=run.pk, status=status_of(run, nodes=PENDING), now=START + timedelta(seconds=9))

    assert now_of(run).waiting_since == START


def test_the_engine_is_asked_about_a_run_that_does_not_go_on(waiting, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "0/3 nodes are available: 3 had an untolerated taint"
    explainer.look()
    assert asked(cluster) == []

    clock.forward(3)
    explainer.look()

    assert now_of(run).message == "0/3 nodes are available: 3 had an untolerated taint."
    assert told(run) == [("0/3 nodes are available: 3 had an untolerated taint.",)]


def test_it_is_asked_ever_less_often_and_an_event_tells_what_is_new_only(waiting, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    moments = []
    for second in range(120):
        clock.now = START + timedelta(seconds=second)
        explainer.look()
        if len(asked(cluster)) > len(moments):
            moments.append(second)

    assert moments == [3, 6, 12, 24, 48, 78, 108]
    assert told(run) == [("Insufficient cpu.",)]


def test_only_so_many_are_asked_about_at_a_time_and_all_in_turn(waiting, explainer, cluster, clock):
    runs = [waiting() for _ in range(AT_A_TIME + 5)]
    clock.forward(3)

    explainer.look()
    assert len(asked(cluster)) == AT_A_TIME
    explainer.look()

    assert sorted(asked(cluster)) == sorted(run.name for run in runs)


def test_what_goes_on_is_not_asked_about_and_its_message_goes(waiting, status_of, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    clock.forward(3)
    explainer.look()
    run_observe(run_id=run.pk, status=status_of(run, nodes=RUNNING), now=clock())
    clock.forward(60)

    explainer.look()

    assert len(asked(cluster)) == 1
    assert now_of(run).message == ""


def test_news_that_change_nothing_leave_the_explanation(waiting, status_of, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    clock.forward(3)
    explainer.look()

    run_observe(run_id=run.pk, status=status_of(run, nodes=PENDING, progress="0/1"), now=clock())
    assert now_of(run).message == "Insufficient cpu."
    run_observe(run_id=run.pk, status=status_of(run, nodes=PENDING, message="the engine's own"), now=clock())

    assert now_of(run).message == "the engine's own"


def test_an_explanation_that_holds_no_more_is_taken_back(waiting, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    clock.forward(3)
    explainer.look()
    del cluster.explanations[run.name]
    clock.forward(6)

    explainer.look()

    assert now_of(run).message == ""
    assert len(told(run)) == 1


def test_owner_node_and_engine_are_heard_and_nobody_repeats_another(
    make_run, status_of, explainer, cluster, clock, owner
):
    run = make_run(now=START)
    nodes = {"a": {**PENDING["a"], "message": "Unschedulable: no node matches"}}
    run_observe(run_id=run.pk, status=status_of(run, nodes=nodes), now=START)
    owner.waits_for = lambda run: "The execution waits for data-partner-1 (it has no cluster node)."
    cluster.explanations[run.name] = "train: Unschedulable: no node matches its selector"
    clock.forward(3)

    explainer.look()

    assert now_of(run).message == (
        "The execution waits for data-partner-1 (it has no cluster node). "
        "train: Unschedulable: no node matches its selector."
    )


@pytest.mark.parametrize("over", [run_stop, run_expire, run_vanish])
def test_what_ends_is_not_asked_about(waiting, explainer, cluster, clock, over):
    run = waiting(deadline_seconds=1)
    clock.forward(3)

    over(run_id=run.pk, now=clock())
    explainer.look()

    assert asked(cluster) == []


def test_an_answer_that_comes_too_late_changes_nothing(waiting, clock):
    run = waiting()
    run_vanish(run_id=run.pk, now=clock())
    message = now_of(run).message

    run_waiting_explained(run_id=run.pk, message="Insufficient cpu.", now=clock())

    assert now_of(run).message == message


def test_a_deadline_says_what_was_last_known(waiting, explainer, cluster, clock):
    run = waiting(pending_deadline_seconds=10)
    cluster.explanations[run.name] = "Insufficient cpu."
    clock.forward(3)
    explainer.look()
    clock.forward(7)

    run_expire(run_id=run.pk, now=clock())

    assert now_of(run).message.endswith("Last known: Insufficient cpu.")


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_does_not_answer_is_asked_again(waiting, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    rounds = threading.Event()

    def wait(_seconds):
        cluster.unavailable = not asked(cluster)
        clock.forward(6)
        return len(asked(cluster)) > 1

    rounds.wait = wait
    thread = threading.Thread(target=explainer.run, args=[rounds])
    thread.start()
    thread.join()

    assert now_of(run).message == "Insufficient cpu."


def test_a_run_that_is_deleted_while_the_engine_is_asked_is_passed_over(
    waiting, explainer, cluster, clock, monkeypatch
):
    gone, other = waiting(), waiting()

    def explain(name):
        if name == gone.name:
            gone.delete()
        return "Insufficient cpu."

    monkeypatch.setattr(cluster, "explain", explain)
    clock.forward(6)

    explainer.look()

    assert now_of(other).message == "Insufficient cpu."


LOST = "train: the cluster node n-1 is not ready: Kubelet stopped posting node status."


@pytest.fixture
def stranded(make_run, status_of, cluster, clock):
    """A run whose only pod runs, on the node n-1, which is lost."""
    run = make_run(now=clock())
    run_observe(run_id=run.pk, status=status_of(run, nodes=RUNNING), now=clock())
    cluster.lost[run.name] = ("n-1", LOST)
    nodes_written(engine="double", nodes=[ClusterNode("n-1", {}, False, "lost"), ClusterNode("n-2", {})], now=clock())
    return run


def test_a_run_on_a_lost_node_says_so_while_it_runs(stranded, explainer):
    explainer.look()

    assert (now_of(stranded).phase, now_of(stranded).message) == ("running", LOST)
    assert told(stranded) == [(LOST,)]


def test_it_says_so_again_after_other_news_but_no_second_time(stranded, status_of, explainer, clock):
    explainer.look()
    run_observe(run_id=stranded.pk, status=status_of(stranded, nodes=RUNNING, progress="0/2"), now=clock())
    assert now_of(stranded).message == ""
    clock.forward(30)

    explainer.look()

    assert now_of(stranded).message == LOST
    assert told(stranded) == [(LOST,)]


def test_a_node_that_is_back_takes_its_word_back(stranded, explainer, cluster, clock):
    explainer.look()
    nodes_written(engine="double", nodes=[ClusterNode("n-1", {})], now=clock())
    clock.forward(30)

    explainer.look()

    assert now_of(stranded).message == ""
    assert [verb for verb, _name in cluster.calls] == ["stranded"]


def test_a_run_that_is_gone_keeps_no_other_from_being_told(stranded, make_run, status_of, explainer, cluster, clock):
    explainer.look()
    other = make_run(now=clock())
    run_observe(run_id=other.pk, status=status_of(other, nodes=RUNNING), now=clock())
    cluster.lost[other.name] = ("n-1", LOST)
    stranded.delete()
    clock.forward(30)

    explainer.look()

    assert now_of(other).message == LOST


def test_where_all_nodes_are_ready_nobody_is_asked(make_run, status_of, explainer, cluster, clock):
    run = make_run(now=clock())
    run_observe(run_id=run.pk, status=status_of(run, nodes=RUNNING), now=clock())
    nodes_written(engine="double", nodes=[ClusterNode("n-1", {})], now=clock())

    explainer.look()

    assert cluster.calls == []


def test_what_waits_is_left_to_its_own_explanation(waiting, cluster, explainer, clock):
    run = waiting()
    cluster.lost[run.name] = ("n-1", LOST)
    nodes_written(engine="double", nodes=[ClusterNode("n-1", {}, False, "lost")], now=clock())

    explainer.look()

    assert now_of(run).message == ""


@pytest.fixture
def failed(make_run, status_of):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run, nodes={}), now=START)
    return run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, message="pod deleted", nodes={}))


def test_an_end_is_explained_once(failed, cluster, owner):
    cluster.explanations[failed.name] = "Node n-1 was lost\0"
    amended = []
    owner.message_amended = lambda run, before: amended.append((run.message, before))

    for _ in range(2):
        explain_end(now_of(failed), cluster, START)

    assert now_of(failed).message == "pod deleted (Node n-1 was lost\ufffd)"
    assert amended == [("pod deleted (Node n-1 was lost\ufffd)", "pod deleted")]
    last = RunEvent.objects.filter(run=failed).last()
    assert (last.from_phase, last.to_phase, last.message) == ("failed", "failed", "Node n-1 was lost\ufffd")


def test_a_lost_run_is_explained_too(make_run, status_of, cluster):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run))
    run_vanish(run_id=run.pk)
    cluster.explanations[run.name] = "Its namespace was deleted"

    explain_end(now_of(run), cluster, START)

    assert "(Its namespace was deleted)" in now_of(run).message


@pytest.mark.parametrize("phase", [WorkflowPhase.SUCCEEDED, WorkflowPhase.RUNNING])
def test_what_did_not_fail_is_not_explained(make_run, status_of, cluster, phase):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run, phase))
    cluster.explanations[run.name] = "odd"

    explain_end(now_of(run), cluster, START)
    run_end_explained(run_id=run.pk, explanation="odd")

    assert asked(cluster) == []
    assert now_of(run).message == ""


def test_an_engine_that_is_away_may_be_asked_about_an_end_again(failed, cluster):
    cluster.unavailable = True

    with pytest.raises(EngineUnavailable):
        explain_end(failed, cluster, START)


def test_what_the_engine_says_in_between_brings_no_second_event(waiting, status_of, explainer, cluster, clock):
    run = waiting()
    cluster.explanations[run.name] = "Insufficient cpu."
    clock.forward(3)
    explainer.look()
    run_observe(run_id=run.pk, status=status_of(run, nodes=PENDING, message="the engine's own"), now=clock())
    clock.forward(3)

    explainer.look()

    assert now_of(run).message == "Insufficient cpu."
    assert len(told(run)) == 1
