"""Callback tokens of Workflows: each role and data partner reaches its own part of its own execution, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import signing
from django.db.models import Model
from django.utils import timezone
from rest_framework.test import APIClient

from executions.models import Execution, FederatedProgress
from executions.outcomes import execution_to_failed
from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_revoke
from registry.models import AIModel, EvaluationMetric, GenericFile
from runs.models import RunPhase, WorkflowRun
from tests.attacks.calls import METHODS, Address, actions_of, api_addresses
from tests.attacks.trainings import (
    CLIENT,
    NOBODYS_CLIENT,
    ONE,
    OTHER,
    OTHERS_CLIENT,
    Attacked,
    bearer,
    federated,
    individual,
    make_federated,
)
from tests.registry.samples import form, generic_file, metric, model, model_files
from web.grants import Role, WorkflowGrant, issue_token

__all__ = ["federated", "individual", "make_federated"]

pytestmark = pytest.mark.django_db
PARTNERS_INFORMATION = "retrieve_data_partner_information/?data_partner="
FAILED = {"message": "told by a client"}
REFUSED = (401, 403, 404, 405)
# Which roles may call what; every other action of every address is a person's.
ANY, CENTRAL = frozenset(Role), frozenset(Role) - {Role.CLIENT}
TABLE = {
    "executions/<int:execution_id>/download_external_data/": {"GET": CENTRAL},
    "executions/<int:execution_id>/download_report_metadata/": {"GET": CENTRAL},
    "executions/<int:execution_id>/download_user_vars/": {"GET": ANY},
    "executions/<int:execution_id>/retrieve_data_partner_information/": {"GET": ANY - {Role.SERVER}},
    "executions/<int:execution_id>/retrieve_workflow_parameter/": {"GET": ANY},
    "executions/<int:execution_id>/update_to_failed/": {"PATCH": ANY},
    "executions/<int:execution_id>/update_to_running/": {"PATCH": ANY},
    "executions/<int:execution_id>/update_to_succeeded/": {"PATCH": CENTRAL},
    "executions/<int:execution_id>/progress/": {"POST": ANY - {Role.MAIN}},
    "executions/<int:execution_id>/update_role_to_failed/": {"PATCH": ANY},
    "channels/<str:channel_id>/<topic:topic>/messages/": {"GET": ANY - {Role.MAIN}, "POST": ANY - {Role.MAIN}},
    "channels/<str:channel_id>/<topic:topic>/messages/<offset:offset>/content/": {"GET": ANY - {Role.MAIN}},
    "channels/<str:channel_id>/models/<sha256:sha256>/": {"GET": ANY - {Role.MAIN}, "PUT": ANY - {Role.MAIN}},
    "ai_engines/": {"GET": ANY},
    "ai_engines/<pk>/": {"GET": ANY},
    "ai_engines_versions/": {"GET": ANY},
    "ai_engines_versions/<pk>/": {"GET": ANY},
    "ai_engines_versions/<pk>/download_default_user_vars_<functionality>/": {"GET": ANY},
    "ai_engines_versions/<pk>/download_user_vars_config_merging_models/": {"GET": ANY},
    "ai_models/": {"GET": CENTRAL, "POST": CENTRAL},
    "ai_models/update_or_create/": {"POST": CENTRAL},
    "ai_models/<pk>/": {"GET": CENTRAL, "DELETE": CENTRAL},
    "ai_models/<pk>/download_ai_engine_version_user_vars/": {"GET": ANY},
    "ai_models/<pk>/download_ai_model/": {"GET": ANY},
    "ai_models/<pk>/download_contents/": {"GET": ANY},
    "evaluation_metrics/": {"POST": CENTRAL},
    "evaluation_metrics/update_or_create/": {"POST": CENTRAL},
    "evaluation_metrics/<pk>/": {"DELETE": CENTRAL},
    "generic_files/": {"POST": CENTRAL},
    "generic_files/<pk>/": {"DELETE": CENTRAL},
}


def body_of(response: Any) -> bytes:
    return bytes(response.getvalue())


def status_of(response: Any) -> int:
    """Return an answer's status, once all of it was read."""
    body_of(response)
    return int(response.status_code)


# Roles and data partners


def test_a_container_gets_the_token_of_its_role_and_partner(federated: Attacked) -> None:
    assert set(federated.tokens) == {"main", "server", CLIENT, OTHERS_CLIENT}
    assert len(set(federated.tokens.values())) == 4


def test_a_client_reads_its_own_partners_patients_and_no_others(federated: Attacked) -> None:
    assert federated.call(CLIENT, "GET", PARTNERS_INFORMATION + ONE).status_code == 200

    refused = federated.call(CLIENT, "GET", PARTNERS_INFORMATION + OTHER)

    assert refused.status_code == 403
    assert b"004-" not in refused.content


@pytest.mark.parametrize("key", ["main", "server"])
@pytest.mark.parametrize("partner", [ONE, OTHER])
def test_the_central_node_reads_no_partners_patients(federated: Attacked, key: str, partner: str) -> None:
    assert federated.call(key, "GET", PARTNERS_INFORMATION + partner).status_code == 403


def test_who_trains_at_one_partner_reads_its_patients(individual: Attacked) -> None:
    assert individual.call("main", "GET", PARTNERS_INFORMATION + ONE).status_code == 200


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("PATCH", "update_to_running/"),
        ("PATCH", "update_to_failed/"),
        ("PATCH", f"update_role_to_failed/?data_partner={ONE}"),
    ],
)
def test_no_answer_tells_a_client_of_other_patients(federated: Attacked, method: str, rest: str) -> None:
    document = {} if "running" in rest else FAILED

    answer = federated.call(CLIENT, method, rest, document)

    assert answer.status_code == 200, answer.content
    told = answer.json()["input_elements"]["platform_data"]["data_partners_patients"]
    assert set(told) == {ONE}


def test_the_registry_tells_no_workflow_of_patients_that_are_not_its_own(individual: Attacked) -> None:
    row = model(data_partners_patients={ONE: ["1"], OTHER: ["secret-2"]})
    client = individual.clients["main"]

    shown = client.get(f"/api/ai_models/{row.pk}/"), client.get("/api/ai_models/")

    assert all(b"secret-2" not in answer.content for answer in shown)
    assert shown[0].json()["data_partners_patients"] == {ONE: ["1"]}


def test_nobodys_client_reads_and_reports_nothing(federated: Attacked) -> None:
    token = token_of(federated, Role.CLIENT)
    federated.clients[NOBODYS_CLIENT] = bearer(token)

    calls = [
        federated.call(NOBODYS_CLIENT, "GET", PARTNERS_INFORMATION + ONE),
        federated.call(NOBODYS_CLIENT, "PATCH", "update_to_failed/", FAILED),
        federated.call(NOBODYS_CLIENT, "PATCH", "update_role_to_failed/", FAILED),
        federated.call(NOBODYS_CLIENT, "PATCH", "update_to_succeeded/"),
        federated.publish(NOBODYS_CLIENT, "models_to_manager", partner=ONE),
        federated.publish(NOBODYS_CLIENT, "models_to_manager", key=f"{federated.channel_id}///MESSAGE_SEP///"),
        federated.store(NOBODYS_CLIENT, b"model"),
    ]

    assert [answer.status_code for answer in calls] == [403] * len(calls)
    assert Execution.objects.get().state == "pending"


# Who ends the whole


def test_a_client_does_not_end_a_training_that_goes_on_without_it(make_federated: Callable[..., Attacked]) -> None:
    training = make_federated(on_missing_clients="continue", minimum_clients=1)

    answer = training.call(CLIENT, "PATCH", "update_to_failed/", FAILED)

    assert answer.status_code == 200, answer.content
    assert Execution.objects.get().state == "pending"
    assert FederatedProgress.objects.get(partner=ONE).step == "failed"


def test_a_clients_failure_is_its_own_where_every_client_is_needed(federated: Attacked) -> None:
    federated.call(CLIENT, "PATCH", "update_to_failed/", FAILED)

    execution = Execution.objects.get()
    assert (execution.state, execution.message) == ("failed", f"{ONE}: told by a client")


def test_a_client_ends_no_training_well(federated: Attacked) -> None:
    produced = {"ai_model": {"ai_model": 1}, "evaluation_metrics": [{"evaluation_metric": 1}]}

    assert federated.call(CLIENT, "PATCH", "update_to_succeeded/", produced).status_code == 403
    assert federated.call("main", "PATCH", "update_to_succeeded/", produced).status_code == 200


@pytest.mark.parametrize("rest", ["update_role_to_failed/", f"update_role_to_failed/?data_partner={OTHER}"])
def test_a_client_reports_no_failure_of_another_role(make_federated: Callable[..., Attacked], rest: str) -> None:
    training = make_federated(on_missing_clients="continue", minimum_clients=1)

    assert training.call(CLIENT, "PATCH", rest, FAILED).status_code == 403
    assert not FederatedProgress.objects.exists()


@pytest.mark.parametrize(("role", "name"), [("client", OTHER), ("client", ""), ("server", ""), ("server", ONE)])
def test_a_client_reports_no_progress_of_another_role(federated: Attacked, role: str, name: str) -> None:
    document = {"role": role, "client": name, "step": "failed", "round": 0, "message": "x"}

    assert federated.call(CLIENT, "POST", "progress/", document).status_code == 403
    assert not FederatedProgress.objects.exists()


def test_roles_report_their_own_progress(federated: Attacked) -> None:
    step = {"step": "ready", "round": 0}

    assert federated.call(CLIENT, "POST", "progress/", {**step, "role": "client", "client": ONE}).status_code == 204
    assert federated.call("server", "POST", "progress/", {**step, "role": "server", "client": ""}).status_code == 204
    assert federated.call("main", "POST", "progress/", {**step, "role": "server", "client": ""}).status_code == 403


# The channel


def test_roles_talk_as_the_protocol_has_it(federated: Attacked) -> None:
    said = [
        federated.publish("server", "status"),
        federated.publish(CLIENT, "status", partner=ONE),
        federated.publish(CLIENT, "models_to_manager", partner=ONE),
        federated.publish("server", "models_to_clients"),
    ]

    assert [answer.status_code for answer in said] == [201] * 4
    assert federated.heads("server", "models_to_manager").json()["end"] == 0
    assert federated.heads(CLIENT, "models_to_clients").json()["end"] == 0


def test_a_client_hears_the_server_and_itself_only(federated: Attacked) -> None:
    federated.publish(CLIENT, "status", partner=ONE, value=b"mine")
    federated.publish("server", "status", value=b"server's")
    federated.publish(OTHERS_CLIENT, "status", partner=OTHER, value=b"other's")

    heard = federated.heads(CLIENT, "status").json()

    assert ([head["offset"] for head in heard["results"]], heard["end"]) == ([0, 1], 1)
    contents = [federated.clients[CLIENT].get(f"{federated.topic('status')}{offset}/content/") for offset in range(3)]
    assert [answer.status_code for answer in contents] == [200, 200, 404]
    assert b"other's" not in b"".join(body_of(answer) for answer in contents)


def test_a_client_does_not_read_what_clients_send_to_the_server(federated: Attacked) -> None:
    federated.publish(OTHERS_CLIENT, "models_to_manager", partner=OTHER, value=b"other's model")

    content = federated.clients[CLIENT].get(f"{federated.topic('models_to_manager')}0/content/")

    assert (federated.heads(CLIENT, "models_to_manager").status_code, content.status_code) == (403, 403)


@pytest.mark.parametrize(
    ("token", "topic", "partner"),
    [
        (CLIENT, "models_to_manager", OTHER),
        (CLIENT, "models_to_manager", ""),
        (CLIENT, "status", OTHER),
        (CLIENT, "status", ""),
        (CLIENT, "models_to_clients", ONE),
        (CLIENT, "models_to_clients", ""),
        ("server", "models_to_manager", ONE),
        ("server", "models_to_manager", ""),
        ("server", "status", ONE),
        ("main", "status", ""),
    ],
)
def test_no_role_speaks_in_the_name_of_another(federated: Attacked, token: str, topic: str, partner: str) -> None:
    assert federated.publish(token, topic, partner=partner).status_code == 403
    assert federated.heads("server", topic).json()["end"] == -1


def test_a_client_does_not_read_the_models_that_another_stored(federated: Attacked) -> None:
    federated.store(OTHERS_CLIENT, b"other's model")
    federated.store("server", b"merged model")

    found = [
        status_of(federated.clients[token].get(federated.model_url(content)))
        for token, content in ((CLIENT, b"other's model"), (CLIENT, b"merged model"), ("server", b"other's model"))
    ]

    assert found == [404, 200, 200]


def test_what_the_server_stores_is_for_all_also_where_one_client_stored_the_same(federated: Attacked) -> None:
    federated.store(OTHERS_CLIENT, b"model")
    assert federated.store("server", b"model").status_code == 204

    assert status_of(federated.clients[CLIENT].get(federated.model_url(b"model"))) == 200


def test_no_role_gets_the_kept_answer_of_another(federated: Attacked) -> None:
    key = {"Idempotency-Key": "guessed"}
    url = f"/api/executions/{federated.execution.pk}/progress/"
    document = {"role": "server", "client": "", "step": "ready", "round": 0}
    federated.clients["server"].post(url, document, format="json", headers=key)

    answer = federated.clients[CLIENT].post(url, document, format="json", headers=key)

    assert (answer.status_code, answer.get("Idempotent-Replayed")) == (403, None)


# The registry


def test_a_client_writes_nothing_into_the_registry(federated: Attacked) -> None:
    row = metric(model())
    client = federated.clients[CLIENT]
    document = {"ai_engine_version": row.ai_model.ai_engine_version_id, "name": "new"}
    before = AIModel.objects.count(), EvaluationMetric.objects.count(), GenericFile.objects.count()
    calls = [
        client.post("/api/ai_models/", form(document, **model_files()), format="multipart"),
        client.post("/api/ai_models/update_or_create/", form(document, **model_files()), format="multipart"),
        client.post("/api/evaluation_metrics/", {"ai_model": row.ai_model_id, "name": "x", "value": 1}, format="json"),
        client.post("/api/generic_files/", form({"name": "x"}), format="multipart"),
        client.delete(f"/api/ai_models/{row.ai_model_id}/"),
        client.get("/api/ai_models/"),
        client.get(f"/api/ai_models/{row.ai_model_id}/"),
    ]

    assert [answer.status_code for answer in calls] == [403] * len(calls)
    assert before == (AIModel.objects.count(), EvaluationMetric.objects.count(), GenericFile.objects.count())


def test_a_client_downloads_the_model_that_it_trains_further(federated: Attacked) -> None:
    assert status_of(federated.clients[CLIENT].get(f"/api/ai_models/{model().pk}/download_contents/")) == 200


# What must stay true


def test_the_table_of_roles_is_all_that_is_open_to_them() -> None:
    found: dict[str, dict[str, frozenset[Role]]] = {}
    for address in api_addresses({}):
        for method, action in actions_of(address).items():
            roles = frozenset(role for role in Role if is_open(address, action, role))
            if roles:
                found.setdefault(address.route.removeprefix("api/"), {})[method] = roles

    assert found == TABLE


def is_open(address: Address, action: str, role: Role) -> bool:
    view = address.view.cls
    access = getattr(view, "workflow_access", None)
    if access is not None:
        return bool(access(WorkflowGrant("execution", 7, 1, "x", role, ONE), SimpleNamespace(method="GET"), None))
    return role in getattr(view, "workflow_actions", {}).get(action, ())


def token_of(attacked: Attacked, role: Role, partner: str = "", **changed: Any) -> str:
    run = attacked.run
    given = {
        "owner_kind": run.owner_kind,
        "owner_id": run.owner_id,
        "attempt": run.attempt,
        "name": run.name,
        "role": role,
        "partner": partner,
    }
    return issue_token(WorkflowGrant(**{**given, **changed}), timezone.now() + timedelta(hours=1))


def addresses_of(attacked: Attacked) -> list[Address]:
    """Return every address, each about what belongs to one execution or to a person."""
    row = metric(model(data_partners_patients={OTHER: ["1"]}))
    archive = generic_file()
    ids = {
        "execution_id": attacked.execution.pk,
        "channel_id": attacked.channel_id,
        "name": attacked.run.name,
        "offset": 0,
    }
    found = api_addresses(ids)
    rows: dict[str, Model] = {
        "ai_engines": row.ai_model.ai_engine_version.ai_engine,
        "ai_engines_versions": row.ai_model.ai_engine_version,
        "ai_models": row.ai_model,
        "evaluation_metrics": row,
        "generic_files": archive,
    }
    by_resource = {name: api_addresses({**ids, "pk": each.pk}) for name, each in rows.items()}
    return [
        next(other for other in by_resource.get(address.route.split("/")[1], found) if other.route == address.route)
        for address in found
    ]


def state_of_everything() -> Any:
    """Return what an attack could have changed."""
    models = (Execution, WorkflowRun, FederatedProgress, AIModel, EvaluationMetric, GenericFile)
    return [list(each.objects.order_by("pk").values()) for each in models]


def send(client: APIClient, method: str, url: str) -> Any:
    content = "" if method in ("GET", "HEAD", "OPTIONS") else "{}"
    return client.generic(method, url, content, content_type="application/json")


@pytest.mark.parametrize("role", list(Role))
def test_a_token_is_useless_for_every_other_execution(make_federated: Callable[..., Attacked], role: Role) -> None:
    mine, others = make_federated(), make_federated()
    client = bearer(token_of(mine, role, ONE if role is Role.CLIENT else ""))
    addresses = addresses_of(others)
    before = state_of_everything()
    readable = {route for route, methods in TABLE.items() if role in methods.get("GET", ()) and "ai_" in route}

    for address in addresses:
        for method in METHODS:
            answer = send(client, method, address.url)
            body_of(answer)
            may_read = address.route.removeprefix("api/") in readable and method in ("GET", "HEAD")
            may_try = method == "POST" and role in TABLE.get(address.route.removeprefix("api/"), {}).get("POST", ())
            if may_read:
                assert answer.status_code == 200, (method, address.url)
            elif may_try and "/<" not in address.route:
                # What a Workflow makes anew is its own; nothing was sent, so nothing is made.
                assert answer.status_code == 400, (method, address.url)
            else:
                assert answer.status_code in REFUSED, (method, address.url, answer.status_code)
    assert state_of_everything() == before


@pytest.mark.parametrize("key", ["main", "server", CLIENT])
def test_tokens_of_an_earlier_attempt_are_useless(federated: Attacked, key: str) -> None:
    Execution.objects.update(attempt=2)

    answers = [
        federated.call(key, "PATCH", "update_to_running/"),
        federated.call(key, "PATCH", "update_to_failed/", FAILED),
        federated.call(key, "GET", "download_user_vars/?descriptor=main-ai-engine"),
        federated.call(key, "GET", PARTNERS_INFORMATION + ONE),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert Execution.objects.get().state == "pending"


def test_a_workflow_that_runs_through_the_upgrade_goes_on_with_its_one_token(federated: Attacked) -> None:
    run = federated.run
    expires = int((timezone.now() + timedelta(hours=1)).timestamp())
    old = "wf." + signing.dumps([run.owner_id, run.attempt, run.name, expires], salt="orchestrator.workflow-grant")
    federated.clients["old"] = bearer(old)

    assert federated.call("old", "GET", PARTNERS_INFORMATION + OTHER).status_code == 200
    assert federated.publish("old", "models_to_manager", partner=ONE).status_code == 201
    assert federated.heads("old", "models_to_manager").json()["end"] == 0
    execution_to_failed(execution_id=run.owner_id, document=FAILED)
    WorkflowRun.objects.update(phase=RunPhase.FAILED, finished_at=timezone.now())
    assert federated.call("old", "PATCH", "update_to_failed/", FAILED).status_code == 401


# Nobody, and bad tokens


def altered(token: str) -> str:
    """Return a token whose content says another role, under the old signature."""
    head, _, rest = token.partition(".")
    content, _, signature = rest.partition(":")
    return f"{head}.{content[:-2]}{'A' if content[-2] != 'A' else 'B'}{content[-1]}:{signature}"


@pytest.fixture
def bad_headers(federated: Attacked, person: Any, django_user_model: Any) -> dict[str, str | None]:
    """Every kind of Authorization that must open nothing."""
    hour = timedelta(hours=1)
    revoked = token_create(user=person, name="revoked", lifetime=hour)[1]
    token_revoke(tokens=ApiToken.objects.all())
    gone = django_user_model.objects.create_user("gone", is_active=False)
    good = token_of(federated, Role.MAIN)
    run = federated.run
    other_key = "wf." + signing.dumps([run.owner_id, 1, run.name, 2**33, "main", ""], key="k", salt="s")
    other_salt = "wf." + signing.dumps([run.owner_id, 1, run.name, 2**33, "main", ""], salt="another")
    tokens = {
        "unknown": "orc_" + "x" * 43,
        "hash": ApiToken.objects.values_list("token_hash", flat=True)[0],
        "revoked": revoked,
        "expired": token_create(user=person, name="expired", lifetime=-hour)[1],
        "inactive": token_create(user=gone, name="gone", lifetime=hour)[1],
        "empty wf": "wf.",
        "altered": altered(good),
        "cut": good[:-1],
        "upper": good.upper(),
        "without prefix": good.removeprefix("wf."),
        "other key": other_key,
        "other salt": other_salt,
        "expired wf": issue_token(
            WorkflowGrant(run.owner_kind, run.owner_id, 1, run.name, Role.MAIN), timezone.now() - hour
        ),
        "no such run": token_of(federated, Role.MAIN, name="execution-0-1-abcdef"),
        "no such execution": token_of(federated, Role.MAIN, owner_id=10**9),
        "no such attempt": token_of(federated, Role.MAIN, attempt=9),
        "two": f"{revoked} {revoked}",
        "long": "wf." + "x" * 100_000,
        "nul": "wf.\x00",
        "quotes": "orc_' OR '1'='1",
    }
    return {
        "none": None,
        "empty": "",
        "scheme alone": "Bearer",
        "basic": "Basic YWRtaW46YWRtaW4=",
        "basic with token": f"Basic {good}",
        "bare token": good,
        "not ascii": "Bearer größe",
        **{name: f"Bearer {token}" for name, token in tokens.items()},
    }


def test_anonymous_and_bad_token_calls_are_all_refused(federated: Attacked, bad_headers: dict[str, str | None]) -> None:
    addresses = addresses_of(federated)
    before = state_of_everything()
    opened, calls = [], 0

    for name, header in bad_headers.items():
        client = APIClient(headers={} if header is None else {"authorization": header})
        client.cookies["sessionid"] = "x" * 32
        for address in addresses:
            for method in METHODS:
                answer = send(client, method, address.url)
                calls += 1
                if answer.status_code != 401:
                    opened.append((name, method, address.url, answer.status_code))

    assert opened == []
    assert calls >= 2_303
    assert state_of_everything() == before


def test_what_anybody_may_see_tells_of_nothing_stored(federated: Attacked) -> None:
    client = APIClient()

    for url in ("/api/schema/", "/api/docs/", "/health/live", "/health/ready", "/admin/login/"):
        answer = client.get(url)
        # Where no controller runs, `ready` says so.
        assert answer.status_code in ((200, 503) if url == "/health/ready" else (200,)), url
        assert federated.run.name.encode() not in body_of(answer), url


def test_the_signed_content_of_a_token_cannot_be_written_anew(federated: Attacked) -> None:
    content = json.dumps([federated.run.owner_id, 1, federated.run.name, 2**33, "client", OTHER]).encode()
    token = "wf." + signing.b64_encode(content).decode() + ":" + federated.tokens[CLIENT].split(":", 1)[1]

    assert (
        bearer(token).get(f"/api/executions/{federated.execution.pk}/{PARTNERS_INFORMATION}{OTHER}").status_code == 401
    )
