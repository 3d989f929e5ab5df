import json
from urllib.parse import quote

import pytest

from runtime.federated_manager.messages import REASON_LIMIT, is_safe_name, reason_header


@pytest.mark.parametrize("text", ["x", "\u5931", "\U0001f600", '"', "\\", "%"])
def test_a_reason_of_any_script_is_short_enough_for_a_header(text: str) -> None:
    reason = reason_header(text * 10_000)["failure_reason"]

    assert reason.startswith(text * 100)
    assert len(quote(json.dumps(reason)[1:-1])) <= REASON_LIMIT


def test_a_short_reason_stays_as_it_is() -> None:
    assert reason_header("no patient has a diagnosis: é 失") == {"failure_reason": "no patient has a diagnosis: é 失"}


def test_what_no_channel_carries_is_left_out() -> None:
    assert reason_header("a\ud800\0\x1b b\r\nc") == {"failure_reason": "a b c"}
    assert reason_header("\ud800") == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "\ud800", "\U0001f600" * 51, "x" * 201])
def test_a_name_that_no_file_can_have_is_not_safe(name: str) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize("name", ["data-partner-1", "\U0001f600" * 50, "x" * 200])
def test_names_are_safe(name: str) -> None:
    assert is_safe_name(name)
