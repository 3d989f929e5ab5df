import pytest
from django.urls import reverse

from runs.models import WorkflowRun
from runs.services import run_observe
from tests.runs.test_views import NODES

pytestmark = pytest.mark.django_db
LIST = "admin:runs_workflowrun_changelist"


def test_the_list_takes_the_same_queries_however_long_it_is(admin_client, make_run, django_assert_max_num_queries):
    for _ in range(30):
        make_run()

    with django_assert_max_num_queries(12) as captured:
        answer = admin_client.get(reverse(LIST))

    assert answer.status_code == 200
    assert not [q for q in captured.captured_queries if "rundocument" in q["sql"] or "runnodes" in q["sql"]]


def test_the_list_is_searched_and_filtered(admin_client, make_run):
    run, other = make_run(), make_run(name="something-else")

    page = admin_client.get(reverse(LIST), {"q": "something", "phase__exact": "queued"}).content.decode()

    assert other.name in page
    assert f">{run.name}<" not in page


def test_a_run_shows_its_nodes_manifest_and_events(admin_client, make_run, status_of, django_assert_max_num_queries):
    run = make_run()
    nodes = {**NODES, "x": {"id": "x", "displayName": "<script>", "type": "Pod", "phase": "Failed"}}
    run_observe(run_id=run.pk, status=status_of(run, nodes=nodes))

    with django_assert_max_num_queries(10):
        page = admin_client.get(reverse("admin:runs_workflowrun_change", args=[run.pk])).content.decode()

    assert "second" in page
    assert "&lt;script&gt;" in page
    assert "kind: Workflow" in page
    assert 'value="Save"' not in page


def test_runs_are_stopped_from_the_list(admin_client, make_run):
    queued, ended = make_run(), make_run()
    WorkflowRun.objects.filter(pk=queued.pk).update(handed_over_at=queued.created_at)

    answer = admin_client.post(
        reverse(LIST), {"action": "stop", "_selected_action": [queued.pk, ended.pk]}, follow=True
    )

    assert "Runs to stop: 2. Stopped before they were submitted: 1." in answer.content.decode()
    assert WorkflowRun.objects.get(pk=queued.pk).stop_requested_at is not None


def test_nobody_changes_or_deletes_a_run_here(admin_client, make_run):
    run = make_run()

    assert admin_client.get(reverse("admin:runs_workflowrun_delete", args=[run.pk])).status_code == 403
    assert admin_client.post(reverse("admin:runs_workflowrun_change", args=[run.pk]), {}).status_code == 403
