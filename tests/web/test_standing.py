import time

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import OperationalError
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from web import standing
from web.errors import InvalidToken
from web.grants import WorkflowGrant
from web.standing import note_granted, refuse_ended, still_granted, while_granted


class Answers(BaseAuthentication):
    """Authenticates by what a test says, and counts how often it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def authenticate(self, request):
        self.asked += 1
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


ADA, BOB = (User(pk=1, username="ada"), None), (User(pk=2, username="bob"), None)


def request_by(*answers) -> tuple[Request, Answers]:
    way = Answers(*answers)
    request = Request(RequestFactory().get("/"), authenticators=[way])
    assert request.user is not None
    return request, way


@pytest.fixture(autouse=True)
def asked_each_time(monkeypatch):
    monkeypatch.setattr(standing, "RECHECK_SECONDS", 0.0)


@pytest.mark.parametrize("later", [AuthenticationFailed(), BOB, None])
def test_who_would_not_be_let_in_again_is_refused(later):
    request, _ = request_by(ADA, later)

    with pytest.raises(InvalidToken):
        refuse_ended(request)


@pytest.mark.parametrize("caller", [ADA, None, (AnonymousUser(), WorkflowGrant("execution", 7, 1, "x"))])
def test_who_would_be_let_in_again_goes_on(caller):
    assert still_granted(request_by(caller)[0])


def test_a_caller_is_asked_again_only_now_and_then(monkeypatch):
    monkeypatch.setattr(standing, "RECHECK_SECONDS", 0.05)
    request, way = request_by(ADA)
    note_granted(request)

    assert all(still_granted(request) for _ in range(10))
    assert way.asked == 1
    time.sleep(0.06)
    assert still_granted(request)
    assert way.asked == 2


def test_the_time_that_a_token_names_itself_needs_no_question(monkeypatch):
    monkeypatch.setattr(standing, "RECHECK_SECONDS", 60.0)
    grant = WorkflowGrant("execution", 7, 1, "x", expires_at=timezone.now())
    request, _ = request_by((AnonymousUser(), grant))
    note_granted(request)

    assert not still_granted(request)


def test_a_database_that_is_away_ends_nothing():
    request, way = request_by(ADA, OperationalError("away"), AuthenticationFailed())

    assert still_granted(request)
    assert not still_granted(request)
    assert way.asked == 3


def test_a_stream_breaks_off_before_the_next_chunk():
    request, _ = request_by(ADA, ADA, AuthenticationFailed())
    chunks = while_granted(request, [1, 2, 3])

    assert next(chunks) == 1
    with pytest.raises(InvalidToken):
        next(chunks)


def test_a_request_that_nobody_authenticated_by_the_api_goes_on():
    assert still_granted(RequestFactory().get("/"))
