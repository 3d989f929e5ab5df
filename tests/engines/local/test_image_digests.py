"""What can be told of an image that stands for a command: the digest of what that command is."""

from pathlib import Path

from engines.local import LocalEngine


def digests(root: Path, command: list[str], *images: str) -> dict[str, str]:
    engine = LocalEngine("local", {"root": root, "images": {"mine:*": {"command": command}}})
    return dict(engine.image_digests("any", images))


def test_an_image_has_the_digest_of_its_command(tmp_path: Path) -> None:
    first = digests(tmp_path, ["one"], "mine:1", "busybox:latest")
    second = digests(tmp_path, ["two"], "mine:1", "busybox:latest")

    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in first.values())
    assert first["mine:1"] != second["mine:1"]
    assert first["busybox:latest"] == second["busybox:latest"]


def test_nothing_is_told_of_an_image_that_is_not_known(tmp_path: Path) -> None:
    assert digests(tmp_path, ["one"], "other:1") == {}
