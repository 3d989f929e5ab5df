import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from engines.base import ClusterNode
from engines.recording import RecordingEngine
from runs.inventory import Inventory, nodes_forgotten, nodes_written
from runs.models import Node
from runs.readiness import Readiness, readiness

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
CENTRAL = ClusterNode("central", {"nodeType": "central"})
FIRST = ClusterNode("n-1", {"dataPartner": "data-partner-1"})
SECOND = ClusterNode("n-2", {"dataPartner": "data-partner-2"}, False, "Kubelet stopped posting node status.")


def rows():
    return list(Node.objects.values_list("engine", "name", "partner", "ready", "message", "seen_at"))


def test_nodes_are_written_with_whom_they_serve():
    nodes_written(engine="argo", nodes=[SECOND, CENTRAL], now=NOW)

    assert rows() == [
        ("argo", "central", "", True, "", NOW),
        ("argo", "n-2", "data-partner-2", False, "Kubelet stopped posting node status.", NOW),
    ]


def test_what_changed_is_written_and_what_vanished_is_forgotten():
    nodes_written(engine="argo", nodes=[CENTRAL, FIRST, SECOND], now=NOW)
    nodes_written(engine="local", nodes=[CENTRAL], now=NOW)

    nodes_written(engine="argo", nodes=[SECOND, ClusterNode("n-1", {"dataPartner": "x"}, False, "a\0b")], now=LATER)

    assert rows() == [
        ("argo", "n-1", "x", False, "a\ufffdb", LATER),
        ("argo", "n-2", "data-partner-2", False, "Kubelet stopped posting node status.", LATER),
        ("local", "central", "", True, "", NOW),
    ]


def test_a_name_that_is_told_twice_is_one_node():
    nodes_written(engine="argo", nodes=[FIRST, FIRST], now=NOW)

    assert len(rows()) == 1


def test_nodes_of_engines_that_are_no_more_are_forgotten():
    nodes_written(engine="argo", nodes=[FIRST])
    nodes_written(engine="local", nodes=[CENTRAL])

    nodes_forgotten(except_of=["local"])

    assert [engine for engine, *_ in rows()] == ["local"]


class Stopping(threading.Event):
    """Notes for how long a loop would have waited, and ends it after so many pauses."""

    def __init__(self, rounds, then=lambda: None):
        super().__init__()
        self.rounds, self.then, self.pauses = rounds, then, []

    def wait(self, timeout=None):
        self.pauses.append(timeout)
        self.then()
        if len(self.pauses) == self.rounds:
            self.set()
        return self.is_set()


def in_a_thread(call, *arguments):
    """Run what closes its thread's connection at the end."""
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_does_not_answer_leaves_what_was_seen():
    engine = RecordingEngine("argo", {"nodes": [{"dataPartner": "data-partner-1"}]})
    moments = iter([NOW, LATER])

    in_a_thread(
        Inventory(engine, lambda: next(moments)).run, Stopping(2, then=lambda: setattr(engine, "unavailable", True))
    )

    assert engine.calls == [("nodes", "")] * 2
    assert [seen_at for *_, seen_at in rows()] == [NOW]


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_did_not_answer_is_asked_soon_again():
    engine = RecordingEngine("argo")
    engine.unavailable = True
    stopping = Stopping(2, then=lambda: setattr(engine, "unavailable", False))

    in_a_thread(Inventory(engine, lambda: NOW).run, stopping)

    assert stopping.pauses == [5, 30]


def test_a_partner_is_ready_where_one_of_its_nodes_is():
    nodes_written(engine="argo", nodes=[CENTRAL, FIRST, SECOND, ClusterNode("n-3", dict(FIRST.labels), False)])

    assert readiness(["argo", "local"]) == {
        "argo": {
            "data-partner-1": Readiness(True, ("n-3",)),
            "data-partner-2": Readiness(False, ("n-2: Kubelet stopped posting node status.",)),
        }
    }


def test_nodes_are_listed(api, settings):
    settings.CENTRAL_NODE_LABEL_KEY, settings.CENTRAL_NODE_LABEL_VALUE = "nodeType", "central"
    nodes_written(engine="argo", nodes=[SECOND, CENTRAL], now=NOW)

    answer = api.get("/api/nodes/")

    assert answer.json() == {
        "count": 2,
        "next": None,
        "previous": None,
        "results": [
            {
                "engine": "argo", "name": "central", "partner": None, "central": True,
                "labels": {"nodeType": "central"}, "ready": True, "message": "", "seen_at": "2026-01-01T12:00:00Z",
            },
            {
                "engine": "argo", "name": "n-2", "partner": "data-partner-2", "central": False,
                "labels": {"dataPartner": "data-partner-2"}, "ready": False,
                "message": "Kubelet stopped posting node status.", "seen_at": "2026-01-01T12:00:00Z",
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("engine=argo", ["central", "n-1", "n-2"]),
        ("engine=local", []),
        ("partner=data-partner-1", ["n-1"]),
        ("ready=false", ["n-2"]),
        ("name=n-1&ready=true", ["n-1"]),
        ("sort=-name&page_size=1", ["n-2"]),
    ],
)
def test_nodes_are_filtered_sorted_and_paged(api, query, names):
    nodes_written(engine="argo", nodes=[CENTRAL, FIRST, SECOND], now=NOW)

    assert [node["name"] for node in api.get(f"/api/nodes/?{query}").json()["results"]] == names


@pytest.mark.parametrize("query", ["ready=perhaps", "created_at=2026-01-01", "sort=labels"])
def test_a_question_that_nodes_do_not_know_is_refused(api, query):
    assert api.get(f"/api/nodes/?{query}").status_code == 400


def test_nobody_reads_nodes_without_a_token(client):
    assert client.get("/api/nodes/").status_code == 401


def test_nodes_are_only_read(api):
    assert {api.post("/api/nodes/").status_code, api.get("/api/nodes/n-1/").status_code} == {405, 404}


def test_operators_read_nodes(admin_client):
    nodes_written(engine="argo", nodes=[SECOND], now=NOW)

    page = admin_client.get(reverse("admin:runs_node_changelist"), {"q": "n-2"}).content.decode()

    assert "Kubelet stopped posting node status." in page
    assert admin_client.get(reverse("admin:runs_node_add")).status_code == 403
