import io
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from runtime.federated_manager.channel.base import SMALL
from runtime.federated_manager.channel.record_batch import BatchError, Record, WrittenBatch, read_batches

KEY, HEADERS = b"key", {"a": "1", "b": "zwei ü"}


def _bytes(batch: WrittenBatch) -> bytes:
    return b"".join(chain.from_iterable(batch.rows()))


def _read(data: bytes, spool: Path, position: int = 0) -> list[Record]:
    stream = io.BytesIO(data)
    return [record for records, _next in read_batches(stream.read, len(data), position, spool) for record in records]


def _value(record: Record, target: Path) -> bytes | None:
    if record.content is None:
        return None
    record.content.save(target)
    return target.read_bytes()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    made = tmp_path / "spool"
    made.mkdir()
    return made


@pytest.mark.parametrize("value", [None, b"", b"short", b"long" * 50_000])
@pytest.mark.parametrize("as_file", [False, True])
def test_the_usual_client_reads_what_is_written(tmp_path: Path, value: bytes | None, as_file: bool) -> None:
    given: bytes | Path | None = value
    if as_file and value is not None:
        given = tmp_path / "value"
        given.write_bytes(value)

    batch = WrittenBatch(KEY, HEADERS, given)
    data = _bytes(batch)

    assert batch.size == len(data)
    assert _bytes(batch) == data
    found = MemoryRecords(data).next_batch()
    assert found.validate_crc()
    (record,) = list(found)
    assert (record.key, record.value) == (KEY, value)
    assert record.headers == [("a", b"1"), ("b", "zwei ü".encode())]


@pytest.mark.parametrize("compression", [0, 1])
def test_what_the_usual_client_writes_is_read(spool: Path, tmp_path: Path, compression: int) -> None:
    values = [None, b"", b"x" * SMALL, os.urandom(SMALL + 1), b"z" * 5_000_000]
    builder = MemoryRecordsBuilder(magic=2, compression_type=compression, batch_size=10_000_000, offset=0)
    for number, value in enumerate(values):
        builder.append(1000 + number, b"%d" % number, value, [("h", b"v")])
    builder.close()

    records = _read(bytes(builder.buffer()), spool)

    assert [record.key for record in records] == [b"0", b"1", b"2", b"3", b"4"]
    assert [_value(record, tmp_path / "value") for record in records] == values
    assert list(spool.iterdir()) == []


def test_several_batches_are_read_and_one_cut_off_is_left_out(spool: Path) -> None:
    batches = [_bytes(WrittenBatch(b"%d" % number, {}, b"v")) for number in range(3)]

    records = _read(b"".join(batches)[:-1], spool)

    assert [record.key for record in records] == [b"0", b"1"]


def test_what_lies_before_the_position_is_left_out(spool: Path) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=10_000_000, offset=0)
    for number in range(3):
        builder.append(None, b"%d" % number, b"v" * (SMALL + 1), [])
    builder.close()

    records = _read(bytes(builder.buffer()), spool, position=2)

    assert [record.key for record in records] == [b"2"]
    assert len(list(spool.iterdir())) == 1


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: _flip(data, len(data) // 2), "damaged"),
        (lambda data: _flip(data, len(data) - 3), "damaged"),
        (lambda data: _flip(data, 16), "of format"),
        (lambda data: _flip(data, 22), "other than gzip|checksum"),
        (lambda data: _flip(data, 61), "damaged"),
    ],
)
def test_a_damaged_batch_is_refused_and_leaves_no_file(
    tmp_path: Path, spool: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    (tmp_path / "value").write_bytes(os.urandom(300_000))
    data = _bytes(WrittenBatch(KEY, HEADERS, tmp_path / "value"))

    with pytest.raises(BatchError, match=message):
        _read(damage(data), spool)
    assert list(spool.iterdir()) == []


def test_a_damaged_batch_that_is_not_compressed_is_refused(spool: Path) -> None:
    data = _bytes(WrittenBatch(KEY, HEADERS, b"v" * (SMALL + 1)))

    with pytest.raises(BatchError, match="its checksum is wrong"):
        _read(_flip(data, len(data) // 2), spool)
    assert list(spool.iterdir()) == []
