import re
from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_use

LIST = "/admin/orchestrator_api/apitoken/"


@pytest.fixture
def token_of_ada(person) -> ApiToken:
    return token_create(user=person, name="laptop", lifetime=timedelta(days=1))[0]


def form(user, days=2) -> dict[str, str]:
    end = timezone.now() + timedelta(days=days)
    return {"user": user.pk, "name": "ci", "expires_at_0": f"{end:%Y-%m-%d}", "expires_at_1": f"{end:%H:%M:%S}"}


def test_a_new_token_is_shown_once(admin_client, person):
    page = admin_client.post(f"{LIST}add/", form(person), follow=True).text
    text = re.search(r"orc_[\w-]+", page)[0]
    assert token_use(text=text).user == person
    assert text not in admin_client.get(LIST).text


def test_a_token_can_be_given_another_end_but_no_other_user(admin_client, admin_user, token_of_ada, person):
    admin_client.post(f"{LIST}{token_of_ada.pk}/change/", form(admin_user, days=5))
    token_of_ada.refresh_from_db()
    assert token_of_ada.user == person
    assert token_of_ada.expires_at > timezone.now() + timedelta(days=4)


def test_tokens_can_be_revoked_and_their_hashes_are_nowhere(admin_client, token_of_ada):
    admin_client.post(LIST, {"action": "revoke", "_selected_action": [token_of_ada.pk]})
    token_of_ada.refresh_from_db()
    assert token_of_ada.revoked_at is not None
    for page in (LIST, f"{LIST}{token_of_ada.pk}/change/"):
        assert token_of_ada.token_hash not in admin_client.get(page).text
