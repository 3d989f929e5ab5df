from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core import signing
from django.test import RequestFactory

from web.errors import InvalidToken
from web.grants import _SALT, TOKEN_PREFIX, Role, WorkflowGrant, grant_of, issue_token, read_token

GRANT = WorkflowGrant("execution", 7, attempt=2, name="execution-7-2-abcdef")
LATER = timedelta(hours=1)


def test_a_token_gives_its_grant_back():
    assert read_token(issue_token(GRANT, datetime.now(UTC) + LATER)) == GRANT


def test_a_token_of_a_role_gives_role_and_partner_back():
    grant = WorkflowGrant("execution", 7, 2, "execution-7-2-abcdef", Role.CLIENT, "data-partner-1")
    read = read_token(issue_token(grant, datetime.now(UTC) + LATER))
    assert (read.role, read.partner) == (Role.CLIENT, "data-partner-1")
    assert read.expires_at > datetime.now(UTC)


@pytest.mark.parametrize("role", [Role.WORKFLOW, Role.CLIENT])
def test_a_token_from_an_earlier_release_is_good_until_it_expires(role):
    old = [7, 2, "execution-7-2-abcdef", int((datetime.now(UTC) + LATER).timestamp())]
    before_kinds = [*old, role, "a" if role is Role.CLIENT else ""]
    grant = replace(GRANT, role=role, partner=before_kinds[-1])
    assert read_token(TOKEN_PREFIX + signing.dumps(before_kinds, salt=_SALT)) == grant
    if role is Role.WORKFLOW:
        assert read_token(TOKEN_PREFIX + signing.dumps(old, salt=_SALT)) == grant


def test_a_grant_speaks_for_its_owner_only():
    grant = replace(GRANT, owner_kind="task")
    assert grant.is_for("task", 7)
    assert not grant.is_for("execution", 7)
    assert not grant.is_for("task", 8)
    assert read_token(issue_token(grant, datetime.now(UTC) + LATER)) == grant


@pytest.mark.parametrize("rest", [["king", ""], ["main"], ["main", "a", "b"]])
def test_a_role_that_nobody_knows_is_refused(rest):
    content = [7, 2, "x", 2**33, *rest]
    with pytest.raises(InvalidToken):
        read_token(TOKEN_PREFIX + signing.dumps(content, salt=_SALT))


@pytest.mark.parametrize(
    ("grant", "partners"),
    [
        (GRANT, {"a", "b", ""}),
        (WorkflowGrant("execution", 7, 2, "x", Role.CLIENT, "a"), {"a"}),
        (WorkflowGrant("execution", 7, 2, "x", Role.MAIN, "a"), {"a"}),
        (WorkflowGrant("execution", 7, 2, "x", Role.CLIENT), set()),
        (WorkflowGrant("execution", 7, 2, "x", Role.SERVER), set()),
    ],
)
def test_whose_data_a_grant_reads(grant, partners):
    assert {partner for partner in ("a", "b", "") if grant.may_read(partner)} == partners


def test_an_expired_token_is_refused():
    with pytest.raises(InvalidToken):
        read_token(issue_token(GRANT, datetime.now(UTC) - LATER))


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "", lambda t: "wf.", lambda t: t.upper(), lambda t: t[3:]]
)
def test_an_altered_token_is_refused(change):
    with pytest.raises(InvalidToken):
        read_token(change(issue_token(GRANT, datetime.now(UTC) + LATER)))


def test_something_signed_for_another_purpose_is_refused():
    with pytest.raises(InvalidToken):
        read_token(TOKEN_PREFIX + signing.dumps([7, 2, "x", 2**40], salt="another"))


def test_a_token_of_another_key_is_refused(settings):
    token = issue_token(GRANT, datetime.now(UTC) + LATER)
    settings.SECRET_KEY = "another key"
    with pytest.raises(InvalidToken):
        read_token(token)


def test_the_grant_of_a_request():
    request = RequestFactory().get("/")
    assert grant_of(request) is None
    request.auth = GRANT
    assert grant_of(request) == GRANT
