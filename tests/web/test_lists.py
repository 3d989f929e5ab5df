from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.test import RequestFactory
from rest_framework.exceptions import NotFound as PageNotFound
from rest_framework.request import Request

from web.errors import InvalidInput
from web.lists import (
    ListQuery,
    boolean_filter,
    choice_filter,
    id_filter,
    integer_filter,
    moment_filter,
    number_filter,
    on,
    page_of,
    search_filter,
    text_filter,
)

QUERY = ListQuery(
    sorts={"name": "username", "joined": "date_joined", "created_at": "date_joined"},
    filters={
        "username": text_filter,
        "is_active": boolean_filter,
        "groups": id_filter,
        "id": integer_filter,
        "kind": on("last_name", choice_filter(["a", "b"])),
        "joined_after": on("date_joined__gte", moment_filter),
        "search": search_filter("first_name", "last_name"),
        "number": on("id", number_filter),
    },
)


def request(**query) -> Request:
    return Request(RequestFactory().get("/api/users/", query))


def found(**query) -> list[str]:
    query.setdefault("sort", "name")
    return [user.username for user in QUERY.apply(request(**query), User.objects.all())]


def pointers(**query) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        QUERY.apply(request(**query), User.objects.all())
    return [fault.pointer for fault in caught.value.faults]


@pytest.fixture
def users(db):
    for day, name in enumerate(["bo", "cy", "al"], start=1):
        User.objects.create(
            username=name,
            first_name=f"First {name}",
            last_name="a" if name == "al" else "b",
            is_active=name != "cy",
            date_joined=datetime(2026, 1, day, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["al", "bo", "cy"]),
        ({"username": "bo"}, ["bo"]),
        ({"is_active": "false"}, ["cy"]),
        ({"kind": "b"}, ["bo", "cy"]),
        ({"kind": "a,b"}, ["al", "bo", "cy"]),
        ({"kind": ["a", "b"]}, ["al", "bo", "cy"]),
        ({"kind": "b, b"}, ["bo", "cy"]),
        ({"joined_after": "2026-01-02"}, ["al", "cy"]),
        ({"joined_after": "2026-01-02T01:00:00+01:00"}, ["al", "cy"]),
        ({"joined_after": "2026-01-02T01:00:00 01:00"}, ["al", "cy"]),
        ({"search": "FIRST A"}, ["al"]),
        ({"groups": "99"}, []),
        ({"groups": "-1"}, []),
        ({"number": "-0.5"}, []),
        ({"sort": "-name"}, ["cy", "bo", "al"]),
        ({"sort": "-joined,name"}, ["al", "cy", "bo"]),
        ({"sort": "-joined, name"}, ["al", "cy", "bo"]),
        ({"sort": "id"}, ["bo", "cy", "al"]),
        ({"sort": "-id"}, ["al", "cy", "bo"]),
        ({"format": "json"}, ["al", "bo", "cy"]),
    ],
)
def test_filters_and_sorts(users, query, names):
    assert found(**query) == names


@pytest.mark.parametrize(
    ("kept", "word"),
    [
        ("Étude Köln", "étude"),
        ("Étude Köln", "ÉTUDE KÖLN"),
        ("MODÈLE Ü", "modèle ü"),
        ("Модель", "мОДЕЛЬ"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("100 % Größe_1", "% größe_"),
    ],
)
def test_a_search_knows_the_case_of_every_letter(db, kept, word):
    User.objects.create(username="one", first_name=kept)
    User.objects.create(username="other", first_name="Etude Koln 100 x Große.1")

    assert found(search=word) == ["one"]


@pytest.mark.parametrize("lookup", ["iexact", "istartswith", "iendswith", "icontains"])
def test_every_lookup_without_case_does(db, lookup):
    User.objects.create(username="one", first_name="Ärzte", last_name="äRZTE")

    assert User.objects.filter(**{f"first_name__{lookup}": "äRZTE"}).exists()
    assert User.objects.filter(**{f"first_name__{lookup}": F("last_name")}).exists()
    assert not User.objects.filter(**{f"first_name__{lookup}": "Arzte"}).exists()


def test_nothing_is_not_found_by_a_word(db):
    User.objects.create(username="one", last_name="")

    assert found(search="None") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unknown", "1"),
        ("sort", "password"),
        ("sort", ""),
        ("sort", "--name"),
        ("format", "xml"),
        ("username", "a\x00"),
        ("is_active", "1"),
        ("groups", "x"),
        ("groups", "1" * 5000),
        ("id", "99999999999999999999"),
        ("id", "--1"),
        ("kind", "c"),
        ("kind", "a,c"),
        ("kind", ["a", "c"]),
        ("kind", ""),
        ("kind", "a,"),
        ("joined_after", "yesterday"),
        ("joined_after", "0001-01-01T00:00:00+10:00"),
        ("number", "nan"),
        ("number", "x"),
        ("username", ["a", "b"]),
    ],
)
def test_a_name_or_value_that_is_not_known_is_refused(db, name, value):
    assert pointers(**{name: value}) == [f"/query/{name}"]


def test_all_faults_of_a_query_come_at_once(db):
    assert pointers(a="1", b="2", kind="c") == ["/query/a", "/query/b", "/query/kind"]


def test_the_newest_comes_first_unless_asked_otherwise():
    users = User.objects.annotate(created_at=F("date_joined"))
    assert ListQuery().apply(request(), users).query.order_by == ("-created_at", "-id")


def page(**query):
    response = page_of(request(**query), User.objects.order_by("id"), lambda rows: [{"name": u.username} for u in rows])
    return response.data


def test_a_page_has_its_rows_and_links(users):
    data = page(page="2", page_size="1")
    assert (data["count"], data["results"]) == (3, [{"name": "cy"}])
    assert "page=3" in data["next"]
    assert "page_size=1" in data["previous"]


def test_the_last_page_may_be_asked_for_by_word(users):
    data = page(page="last", page_size="2")
    assert (data["results"], data["next"]) == ([{"name": "al"}], None)


def test_a_page_holds_a_hundred_rows_and_at_most_five_hundred(db):
    User.objects.bulk_create(User(username=str(i)) for i in range(501))
    assert len(page()["results"]) == 100
    assert len(page(page_size="100000")["results"]) == 500


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"page": "x"}, {"page": "-1"}, {"page_size": "0"}, {"page_size": "ten"}]
)
def test_a_page_that_is_no_number_is_refused(db, query):
    with pytest.raises(InvalidInput):
        page(**query)


@pytest.mark.parametrize("number", ["2", "9" * 18, "9" * 5000])
def test_a_page_after_the_last_is_not_found(db, number):
    with pytest.raises(PageNotFound):
        page(page=number)


def test_a_list_describes_its_query():
    assert {parameter.name for parameter in QUERY.parameters()} >= {"username", "sort", "page", "page_size"}
