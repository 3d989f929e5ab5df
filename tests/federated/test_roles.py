"""What each role may do in its channel."""

from __future__ import annotations

import pytest

from federated.models import TOPICS
from federated.roles import MAY_READ, client_key, may_store, may_write, readable_keys, readable_storers, storer_of
from web.grants import Role, WorkflowGrant

ID = "7_-SEP-_x_-SEP-_"
SERVER = WorkflowGrant("execution", 7, 1, "x", Role.SERVER)
ONE = WorkflowGrant("execution", 7, 1, "x", Role.CLIENT, "one")
NOBODYS = WorkflowGrant("execution", 7, 1, "x", Role.CLIENT)
MAIN = WorkflowGrant("execution", 7, 1, "x", Role.MAIN)
OLD = WorkflowGrant("execution", 7, 1, "x")
OWN, OTHERS = client_key(ID, "one"), client_key(ID, "other")


@pytest.mark.parametrize(
    ("grant", "written"),
    [
        (SERVER, {("status", ID), ("models_to_clients", ID)}),
        (ONE, {("status", OWN), ("models_to_manager", OWN)}),
        (NOBODYS, set()),
        (MAIN, set()),
        (OLD, {(topic, key) for topic in TOPICS for key in (ID, OWN, OTHERS, client_key(ID, ""))}),
    ],
)
def test_where_a_role_writes_under_which_key(grant: WorkflowGrant, written: set[tuple[str, str]]) -> None:
    tried = [(topic, key) for topic in TOPICS for key in (ID, OWN, OTHERS, client_key(ID, ""))]

    assert {(topic, key) for topic, key in tried if may_write(grant, ID, topic, key)} == written


@pytest.mark.parametrize(
    ("grant", "keys", "storers"),
    [
        (None, None, None),
        (SERVER, None, None),
        (OLD, None, None),
        (ONE, {ID, OWN}, {"", "one"}),
        (NOBODYS, {ID}, {""}),
    ],
)
def test_whom_a_role_hears(grant: WorkflowGrant | None, keys: set[str] | None, storers: set[str] | None) -> None:
    assert (readable_keys(grant, ID), readable_storers(grant)) == (keys, storers)


def test_a_model_is_its_clients_or_the_servers() -> None:
    assert [storer_of(grant) for grant in (SERVER, ONE, OLD)] == ["", "one", ""]
    assert [may_store(grant) for grant in (SERVER, ONE, OLD, NOBODYS)] == [True, True, True, False]


def test_no_client_reads_what_clients_send() -> None:
    assert "models_to_manager" not in MAY_READ[Role.CLIENT]
    assert Role.MAIN not in MAY_READ
