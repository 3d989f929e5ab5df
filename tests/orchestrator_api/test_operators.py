import pytest
from django.contrib.auth.models import Permission, User

from executions.models import Execution
from schemas.models import Schema

pytestmark = pytest.mark.django_db


@pytest.fixture
def execution() -> Execution:
    schema = Schema.objects.create(
        name="x", type="individual", implementation="dummy", input_elements={}, ai_elements={}, output_elements={}
    )
    return Execution.objects.create(schema=schema, state="failed", reason="engine")


def test_the_first_page_counts_the_day_and_links_to_what_it_counts(admin_client, execution):
    page = admin_client.get("/admin/")

    failed = next(figure for figure in page.context["figures"] if figure.title.startswith("failed"))
    assert failed.number == 1
    listed = admin_client.get(failed.address)
    assert list(listed.context["cl"].result_list) == [execution]


def test_every_figure_has_a_list(admin_client):
    for figure in admin_client.get("/admin/").context["figures"]:
        assert admin_client.get(figure.address).status_code == 200


def test_the_first_page_asks_few_queries(admin_client, execution, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):
        admin_client.get("/admin/")


def test_who_may_not_see_executions_sees_no_figures_of_them(client, execution):
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_genericfile"))
    client.force_login(clerk)

    assert client.get("/admin/").context["figures"] == []


def test_what_is_needed_most_comes_first(admin_client):
    rooms = [room["app_label"] for room in admin_client.get("/admin/").context["app_list"]]

    assert rooms == ["executions", "runs", "schemas", "registry", "orchestrator_api", "auth"]


def test_times_say_their_zone_and_second(admin_client, execution):
    page = admin_client.get(f"/admin/executions/execution/{execution.pk}/change/").text

    assert f"{execution.created_at:%Y-%m-%d %H:%M:%S}" in page
    assert "All times are UTC." in page
