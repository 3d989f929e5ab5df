from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.utils import timezone

from orchestrator_api.models import ApiToken
from orchestrator_api.tokens import token_create, token_use
from web.errors import InvalidToken


def run(*args, **kwargs) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*args, stdout=out, stderr=err, **kwargs)
    return out.getvalue(), err.getvalue()


def test_create_token_prints_a_token_that_works(person):
    out, err = run("create_token", "ada", "--name", "laptop", "--days", "3")
    token = token_use(text=out.strip())
    assert (token.user, token.name) == (person, "laptop")
    assert timedelta(days=2) < token.expires_at - timezone.now() <= timedelta(days=3)
    assert "not shown again" in err


def test_create_token_can_print_the_token_alone(person):
    out, err = run("create_token", "ada", "--print-only")
    assert token_use(text=out.strip())
    assert err == ""


@pytest.mark.parametrize("args", [("bob",), ("ada", "--days", "0"), ("ada", "--days", "100000")])
def test_create_token_refuses(person, args):
    with pytest.raises(CommandError):
        run("create_token", *args)
    assert not ApiToken.objects.exists()


def test_revoke_token_by_id_leaves_the_others(person):
    (first, text), (_, other) = (token_create(user=person, name=n, lifetime=timedelta(1)) for n in "ab")
    assert run("revoke_token", str(first.pk))[0] == "Tokens revoked: 1\n"
    assert token_use(text=other)
    with pytest.raises(InvalidToken):
        token_use(text=text)


def test_revoke_token_of_a_user(person):
    for name in "ab":
        token_create(user=person, name=name, lifetime=timedelta(1))
    assert run("revoke_token", "--user", "ada")[0] == "Tokens revoked: 2\n"


@pytest.mark.django_db
@pytest.mark.parametrize("args", [(), ("1", "--user", "ada"), ("99",)])
def test_revoke_token_refuses(args):
    with pytest.raises(CommandError):
        run("revoke_token", *args)


def test_every_command_of_ours_has_a_test():
    """A command's test names it in quotes, as call_command and subprocess calls do."""
    ours = {name for name, app in get_commands().items() if (Path(settings.BASE_DIR) / app).is_dir()}
    tests = "\n".join(path.read_text() for path in (Path(settings.BASE_DIR) / "tests").rglob("test_*.py"))
    assert {name for name in ours if f'"{name}"' not in tests} == set()
