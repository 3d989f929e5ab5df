"""What `memoize` remembers on the disk."""

from pathlib import Path

from engines.local.interpreter.memos import Memo
from engines.local.journal import Journal
from engines.local.memo_store import MemoStore


def test_a_key_of_any_characters_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    store = MemoStore(str(tmp_path), "local", "a uid", Journal(str(tmp_path / "run")))
    memo = Memo("cache", "half a character \ud83d, ../../.. and \0", None)

    assert store.load(memo, 1.0) is None
    store.save(memo, {"result": "1"}, 1.0)
    assert store.load(memo, 2.0) == {"result": "1"}
