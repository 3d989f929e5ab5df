import pytest
from django.core.files.storage import default_storage

from registry.models import AIEngine, GenericFile
from tests.registry.samples import engine, generic_file, metric, model, version

pytestmark = pytest.mark.django_db
PAGES = ["aiengine", "aiengineversion", "aimodel", "evaluationmetric", "genericfile"]


def add_rows(first, last):
    for number in range(first, last):
        made = model(version(engine(name=f"e{number}")), name=f"m{number}")
        metric(made)
        generic_file(name=f"g{number}")


@pytest.mark.parametrize("page", PAGES)
def test_a_list_page_does_not_query_per_row(admin_client, page, django_assert_max_num_queries):
    add_rows(0, 8)

    with django_assert_max_num_queries(9):
        response = admin_client.get(f"/admin/registry/{page}/")

    assert response.status_code == 200
    assert len(response.context["cl"].result_list) == 8


@pytest.mark.parametrize("page", PAGES)
def test_search_and_one_row(admin_client, page):
    add_rows(0, 1)
    listed = admin_client.get(f"/admin/registry/{page}/?q=0")
    row = listed.context["cl"].queryset.model.objects.get()

    assert listed.status_code == 200
    assert admin_client.get(f"/admin/registry/{page}/{row.pk}/change/").status_code == 200


def test_deleting_takes_the_file(admin_client, django_capture_on_commit_callbacks):
    row = generic_file()

    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(f"/admin/registry/genericfile/{row.pk}/delete/", {"post": "yes"})

    assert not GenericFile.objects.exists()
    assert default_storage.listdir("registry/generic_files")[1] == []


def test_what_is_used_stays(admin_client):
    used = version().ai_engine

    admin_client.post(f"/admin/registry/aiengine/{used.pk}/delete/", {"post": "yes"})

    assert AIEngine.objects.exists()


@pytest.mark.parametrize(
    ("page", "path"), [("aimodel", "download_contents"), ("genericfile", "packed_contents_download")]
)
def test_one_row_links_to_its_files(admin_client, page, path):
    row = model() if page == "aimodel" else generic_file()

    response = admin_client.get(f"/admin/registry/{page}/{row.pk}/change/")

    assert f"/{row.pk}/{path}/".encode() in response.content


def test_a_model_shows_its_metrics_and_how_many_patients_but_not_which(admin_client, django_assert_max_num_queries):
    row = model(data_partners_patients={"p1": ["secret-1", "secret-2"]})
    for value in (0.5, 0.75):
        metric(row, value=value, data_partners_patients={"p1": [str(value)]})

    with django_assert_max_num_queries(8):
        page = admin_client.get(f"/admin/registry/aimodel/{row.pk}/change/").text

    assert "auc = 0.5" in page
    assert "auc = 0.75" in page
    assert "secret-1" not in page
