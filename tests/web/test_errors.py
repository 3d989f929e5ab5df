import re

import pytest

from web import errors
from web.errors import Fault, InvalidInput, OrchestratorError


def subclasses(cls: type[OrchestratorError]) -> list[type[OrchestratorError]]:
    return [found for sub in cls.__subclasses__() for found in (sub, *subclasses(sub))]


@pytest.mark.parametrize("cls", list(subclasses(OrchestratorError)), ids=lambda c: c.__name__)
def test_every_error_has_a_code_a_status_and_a_public_text(cls):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cls.code)
    assert cls.code != OrchestratorError.code
    assert 400 <= cls.status <= 599
    assert cls.title.endswith(".")
    assert cls.title != OrchestratorError.title


def test_no_two_errors_share_a_code():
    codes = [cls.code for cls in subclasses(OrchestratorError) if "code" in cls.__dict__]
    assert len(codes) == len(set(codes))


def test_the_tree_in_the_docstring_is_whole_and_true():
    drawn = dict(re.findall(r"[├└]── (\w+) \((\d+)\)", errors.__doc__))
    real = {c.__name__: str(c.status) for c in subclasses(OrchestratorError) if c.__module__ == errors.__name__}
    assert drawn == real


def test_an_error_without_detail_says_its_public_text():
    error = InvalidInput(faults=[Fault("/data/name", "is missing")])
    assert error.detail == InvalidInput.title
    assert error.faults == (Fault("/data/name", "is missing"),)
