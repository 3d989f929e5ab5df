import pytest
from django.contrib.auth.models import AnonymousUser, User
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from web.grants import ANY_ROLE, CENTRAL_ROLES, Role, WorkflowGrant
from web.permissions import IsPerson

GRANT = WorkflowGrant("execution", 7, 1, "execution-7-1-abcdef")


def request_by(user=None, grant=None, method="get") -> Request:
    request = Request(getattr(APIRequestFactory(), method)("/"))
    request.user = user or AnonymousUser()
    request.auth = grant
    return request


class Closed(APIView):
    pass


class Listed(APIView):
    workflow_actions = {"retrieve": CENTRAL_ROLES, "head": ANY_ROLE}


class Asked(APIView):
    def workflow_access(grant, request, view):
        return grant.is_for("execution", 7) and request.method == "GET"


@pytest.mark.parametrize("view", [Closed, Listed, Asked])
def test_a_person_may_and_nobody_may_not(view):
    assert IsPerson().has_permission(request_by(User(username="ada")), view())
    assert not IsPerson().has_permission(request_by(), view())


def test_a_workflow_may_not_unless_the_view_says_so():
    assert not IsPerson().has_permission(request_by(grant=GRANT), Closed())


def test_a_workflow_may_do_the_listed_actions():
    view = Listed()
    assert IsPerson().has_permission(request_by(grant=GRANT, method="head"), view)
    assert not IsPerson().has_permission(request_by(grant=GRANT), view)
    view.action = "retrieve"
    assert IsPerson().has_permission(request_by(grant=GRANT), view)


@pytest.mark.parametrize(("role", "may"), [(Role.WORKFLOW, True), (Role.MAIN, True), (Role.CLIENT, False)])
def test_an_action_is_open_to_the_roles_that_are_listed_for_it(role, may):
    view = Listed()
    view.action = "retrieve"
    grant = WorkflowGrant("execution", 7, 1, GRANT.name, role, "data-partner-1")
    assert IsPerson().has_permission(request_by(grant=grant), view) is may


def test_a_view_may_judge_by_itself():
    assert IsPerson().has_permission(request_by(grant=GRANT), Asked())
    assert not IsPerson().has_permission(request_by(grant=GRANT, method="post"), Asked())


def test_with_open_callbacks_the_listed_actions_need_no_token(settings):
    settings.WORKFLOW_CALLBACKS_OPEN = True
    assert IsPerson().has_permission(request_by(method="head"), Listed())
    assert not IsPerson().has_permission(request_by(), Listed())
    assert not IsPerson().has_permission(request_by(), Closed())
    assert not IsPerson().has_permission(request_by(), Asked())
