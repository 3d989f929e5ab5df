import pytest

from orchestrator_api.answers import ADMIN_POLICY, DOCS_POLICY

pytestmark = pytest.mark.usefixtures("failing_urls")


@pytest.mark.parametrize(
    "path", ["/api/whoami/", "/api/failing/fault/", "/api/failing/locked/", "/api/nothing/", "/api/docs/"]
)
def test_no_answer_of_the_api_is_kept(client, path):
    assert "no-store" in client.get(path)["Cache-Control"]


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/admin/executions/execution/", "/admin/nothing/"])
def test_no_page_of_the_admin_is_kept(admin_client, path):
    assert "no-store" in admin_client.get(path)["Cache-Control"]


def test_downloads_and_refusals_are_not_kept(client, anonymous):
    assert "no-store" in client.post("/api/streaming/")["Cache-Control"]
    assert "no-store" in anonymous.get("/api/executions/")["Cache-Control"]
    assert "no-store" in anonymous.get("/api/whoami/\x00")["Cache-Control"]


@pytest.mark.parametrize(("path", "policy"), [("/admin/login/", ADMIN_POLICY), ("/api/docs/", DOCS_POLICY)])
def test_pages_run_scripts_of_ours_alone(client, path, policy):
    answer = client.get(path)
    assert answer["Content-Security-Policy"] == policy
    assert "script-src 'self';" in policy
    assert b"<script>" not in answer.content


def test_data_runs_no_script_at_all(client):
    for path in ("/api/whoami/", "/api/nothing/", "/health/live", "/nothing"):
        policy = client.get(path)["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy


def test_the_script_of_the_documentation_is_a_file_of_its_own(client):
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert b"swaggerSettings" in script.content
