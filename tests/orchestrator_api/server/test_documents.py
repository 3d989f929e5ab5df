import asyncio
from pathlib import Path

import pytest

from orchestrator_api.server.documents import SMALL_BYTES, Room, RoomTakenError, document_bytes

FORM = "multipart/form-data; boundary=B"


def part(disposition: str, content: bytes) -> bytes:
    return f"--B\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def counted(tmp_path: Path, body: bytes, content_type: str) -> int:
    path = tmp_path / "body"
    path.write_bytes(body)
    with path.open("rb") as file:
        return document_bytes(file, content_type, len(body))


@pytest.mark.parametrize(
    ("disposition", "content", "counts"),
    [
        ('name="data"', b"x" * 5000, True),
        ('name="anything"', b"x" * 5000, True),
        ('name="user_vars"; filename="v.json"', b"\xef\xbb\xbf \n{" + b" " * 5000, True),
        ('name="user_vars"; filename="v.json"', b"[" * 5000, True),
        ('name="contents"; filename="c.zip"', b"PK" + b"x" * 5000, False),
        ('name="contents"; filename="c.zip"', b" " * 6000, True),
        ('name="x"; filename=""', b"x" * 5000, True),
    ],
)
def test_all_of_a_form_counts_that_may_become_objects(tmp_path, disposition, content, counts):
    found = counted(tmp_path, part(disposition, content) + b"--B--\r\n", FORM)

    assert (found >= 5000) is counts


def test_each_part_of_a_form_counts_for_itself(tmp_path):
    zipped = part('name="c"; filename="c.zip"', b"PK" + b"x" * 100_000)
    body = part('name="data"', b"{" * 3000) + zipped + part('name="v"; filename="v"', b"{" * 2000) + b"--B--\r\n"

    assert 5000 < counted(tmp_path, body, FORM) < 6000


def test_a_form_of_endless_parts_counts_as_a_whole(tmp_path):
    body = part('name="c"; filename="c.zip"', b"PK") * 2000

    assert counted(tmp_path, body, FORM) == len(body)


@pytest.mark.parametrize(
    ("content_type", "counts"), [("application/json", True), ("", True), ("application/octet-stream", False)]
)
def test_what_is_no_form_counts_by_its_kind(tmp_path, content_type, counts):
    assert counted(tmp_path, b"x" * 5000, content_type) == (5000 if counts else 0)


def test_large_documents_take_turns_and_small_ones_wait_for_nobody():
    seen: list[str] = []

    async def work(room: Room, name: str, size: int) -> None:
        async with room.taken(size):
            seen.append(f"{name} begins")
            await asyncio.sleep(0.01)
            seen.append(f"{name} ends")

    async def main() -> None:
        room = Room(10 * SMALL_BYTES, 10)
        await asyncio.gather(
            work(room, "a", 7 * SMALL_BYTES), work(room, "b", 99 * SMALL_BYTES), work(room, "small", SMALL_BYTES)
        )

    asyncio.run(main())
    assert seen.index("a ends") < seen.index("b begins")
    assert seen.index("small begins") < seen.index("a ends")


def test_who_gets_no_room_in_time_is_refused_and_takes_none_from_others():
    async def main() -> None:
        room = Room(10 * SMALL_BYTES, 0.01)
        async with room.taken(10 * SMALL_BYTES):
            with pytest.raises(RoomTakenError):
                async with room.taken(2 * SMALL_BYTES):
                    pass
        async with room.taken(10 * SMALL_BYTES):
            pass

    asyncio.run(main())
