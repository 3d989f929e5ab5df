from datetime import UTC, datetime, timedelta

import pytest

from web.markup import NOTHING, badge, lasting, links, moment, pairs, scrolling


def test_a_state_and_a_phase_of_the_same_meaning_look_the_same():
    assert badge("failed") == badge("Failed").replace("Failed", "failed")


@pytest.mark.parametrize("page", [badge("<b>"), scrolling("<b>"), links([("/x", "<b>")]), pairs({"<b>": ["<b>"]})])
def test_nothing_that_is_shown_is_taken_for_markup(page):
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


@pytest.mark.parametrize("page", [badge(""), links([]), pairs({}), moment(None), lasting(None)])
def test_where_there_is_nothing_a_dash_says_so(page):
    assert page == NOTHING


def test_a_time_has_its_date_at_hand():
    assert "2026-11-21 09:08:07 UTC" in moment(datetime(2026, 11, 21, 9, 8, 7, tzinfo=UTC))


def test_a_duration_may_be_longer_than_a_day():
    assert lasting(timedelta(hours=49, seconds=62)) == "49:01:02"


def test_values_are_said_in_words():
    assert "yes" in pairs({"explains": True})
    assert "a, b" in pairs({"names": ["a", "b"]})
