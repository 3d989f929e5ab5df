"""Record batches of Kafka, written from a file and read into files block by block.

The usual client holds a message several times in memory (records, batch, request); here a model passes through in
blocks of a megabyte. Format: https://kafka.apache.org/documentation/#recordbatch (magic 2).
"""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from crc32c import crc32c
from zlib_ng import zlib_ng as zlib

from runtime.federated_manager.channel.base import BLOCK, SMALL, Content, SmallContent, SpooledContent

# BaseOffset, Length, PartitionLeaderEpoch, Magic, CRC; the CRC covers what follows it.
_HEAD = struct.Struct(">qiibI")
# Attributes, LastOffsetDelta, FirstTimestamp, MaxTimestamp, ProducerId, ProducerEpoch, BaseSequence, record count.
_CHECKED_HEAD = struct.Struct(">hiqqqhii")
_LENGTH_STARTS_AT = 12
_MAGIC = 2
_NO_CODEC, _GZIP, _CODEC_MASK, _CONTROL = 0, 1, 0x07, 0x20

_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_STORED = struct.Struct("<BHH")
_STORED_LIMIT = 65535
_STORED_LAST = b"\x01\x00\x00\xff\xff"


# Its stub takes the exception's type for an instance.
_Undeflatable: type[Exception] = zlib.error  # type: ignore[assignment]

Piece = bytes | memoryview


class BatchError(Exception):
    """The data is not a valid record batch."""


class WrittenBatch:
    """One record as a batch: its `size` in bytes, and its `rows`.

    A file is sent as gzip, as the topics' configuration has it (the broker would compress anything else
    itself), but stored, not deflated: a zip does not get smaller. The file is read twice, for the checksum and
    for sending.
    """

    def __init__(self, key: bytes, headers: Mapping[str, str], value: bytes | Path | None) -> None:
        self._value = value
        length = _length_of(value)
        before = b"\x00\x00\x00" + _sized(key) + _varint(-1 if length is None else length)
        after = _varint(len(headers)) + b"".join(
            _sized(name.encode()) + _sized(content.encode()) for name, content in headers.items()
        )
        self._before = _varint(len(before) + (length or 0) + len(after)) + before
        self._after = after
        now = int(time.time() * 1000)
        codec = _GZIP if isinstance(value, Path) else _NO_CODEC
        self._checked_head = _CHECKED_HEAD.pack(codec, 0, now, now, -1, -1, -1, 1)
        self._trailer = b""
        size, checksum = 0, crc32c(self._checked_head)
        for pieces in self._payload():
            for piece in pieces:
                size += len(piece)
                checksum = crc32c(piece, checksum)
        length_field = _HEAD.size - _LENGTH_STARTS_AT + len(self._checked_head) + size
        self._head = _HEAD.pack(0, length_field, -1, _MAGIC, checksum)
        self.size = _LENGTH_STARTS_AT + length_field

    def rows(self) -> Iterator[list[Piece]]:
        """Yield the batch's bytes, in rows of pieces; may be called again to resend it."""
        yield [self._head, self._checked_head]
        yield from self._payload()

    def _payload(self) -> Iterator[list[Piece]]:
        if not isinstance(self._value, Path):
            yield [self._before, self._value or b"", self._after]
            return
        yield [_GZIP_HEAD, *_stored(self._before)]
        if self._trailer:
            yield from self._stored_file(lambda _block: None)
            yield [*_stored(self._after), _STORED_LAST, self._trailer]
            return
        # In the first pass the trailer is not known yet.
        checksum = zlib.crc32(self._before)
        size = len(self._before) + len(self._after)

        def count(block: bytes) -> None:
            nonlocal checksum, size
            checksum, size = zlib.crc32(block, checksum), size + len(block)

        yield from self._stored_file(count)
        self._trailer = struct.pack("<II", zlib.crc32(self._after, checksum), size & 0xFFFFFFFF)
        yield [*_stored(self._after), _STORED_LAST, self._trailer]

    def _stored_file(self, count: Callable[[bytes], None]) -> Iterator[list[Piece]]:
        assert isinstance(self._value, Path)
        with self._value.open("rb") as file:
            while block := file.read(16 * _STORED_LIMIT):
                count(block)
                yield _stored(block)


@dataclass(frozen=True)
class Record:
    """One received record."""

    offset: int
    key: bytes | None
    headers: dict[str, str]
    content: Content | None


def read_batches(
    read: Callable[[int], bytes | bytearray], length: int, position: int, spool: Path
) -> Iterator[tuple[list[Record], int]]:
    """Yield the records of each whole batch from `position` on, with the offset that follows the batch.

    `read(n)` gives n bytes of the `length` there are; an incomplete batch at the end is skipped. Contents longer
    than SMALL go into files in `spool`. Raises BatchError when a batch is damaged; its files are removed.
    """
    while length >= _HEAD.size + _CHECKED_HEAD.size:
        base, size, _epoch, magic, checksum = _HEAD.unpack(read(_HEAD.size))
        length -= _HEAD.size
        rest = size - (_HEAD.size - _LENGTH_STARTS_AT)
        if magic != _MAGIC or rest < _CHECKED_HEAD.size:
            raise BatchError(f"batch at offset {base} of format {magic}, {size} bytes long")
        if rest > length:
            break
        checked_head = read(_CHECKED_HEAD.size)
        source = _Source(read, rest - _CHECKED_HEAD.size, crc32c(checked_head), checksum)
        records, following = _read_batch(source, checked_head, base, spool)
        # A batch is sent whole, also when the position is in its middle.
        _discard([record for record in records if record.offset < position])
        yield [record for record in records if record.offset >= position], following
        length -= rest
    _skip(read, length)


def _read_batch(source: _Source, checked_head: bytes | bytearray, base: int, spool: Path) -> tuple[list[Record], int]:
    attributes, last_delta, _first, _max, _producer, _producer_epoch, _sequence, count = _CHECKED_HEAD.unpack(
        checked_head
    )
    codec = attributes & _CODEC_MASK
    if codec not in (_NO_CODEC, _GZIP):
        raise BatchError(f"the batch at offset {base} has a compression other than gzip (code {codec})")
    records: list[Record] = []
    try:
        stream = _Stream(source.plain() if codec == _NO_CODEC else source.inflated())
        if not attributes & _CONTROL:
            for _number in range(count):
                records.append(_read_record(stream, base, spool))
        source.finish()
    except (BatchError, struct.error, _Undeflatable, UnicodeDecodeError, EOFError) as error:
        _discard(records)
        raise BatchError(f"the batch at offset {base} is damaged: {error}") from error
    return records, base + last_delta + 1


def _read_record(stream: _Stream, base: int, spool: Path) -> Record:
    stream.varint()
    stream.read(1)
    stream.varint()
    offset = base + stream.varint()
    key_length = stream.varint()
    key = stream.read(key_length) if key_length >= 0 else None
    content = _read_content(stream, stream.varint(), spool)
    try:
        headers: dict[str, str] = {}
        for _number in range(stream.varint()):
            name = stream.read(stream.varint()).decode()
            size = stream.varint()
            headers[name] = stream.read(size).decode() if size >= 0 else ""
    except (BatchError, UnicodeDecodeError):
        if content is not None:
            content.discard()
        raise
    return Record(offset, key, headers, content)


def _read_content(stream: _Stream, size: int, spool: Path) -> Content | None:
    if size < 0:
        return None
    if size <= SMALL:
        return SmallContent(stream.read(size))
    with tempfile.NamedTemporaryFile(dir=spool, prefix="message-", delete=False) as file:
        try:
            stream.copy(size, file)
        except BaseException:
            Path(file.name).unlink()
            raise
    return SpooledContent(Path(file.name), size)


class _Source:
    """The payload of one batch as blocks, while its checksum is taken."""

    def __init__(self, read: Callable[[int], bytes | bytearray], size: int, started: int, wanted: int) -> None:
        self._read, self._left, self._checksum, self._wanted = read, size, started, wanted

    def plain(self) -> Iterator[bytes | bytearray]:
        while self._left:
            block = self._read(min(self._left, BLOCK))
            self._left -= len(block)
            self._checksum = crc32c(block, self._checksum)
            yield block

    def inflated(self) -> Iterator[bytes]:
        inflate = zlib.decompressobj(31)
        for block in self.plain():
            rest = block
            while rest:
                # Bounded: a small batch may inflate to any size.
                yield inflate.decompress(rest, BLOCK)
                rest = inflate.unconsumed_tail

    def finish(self) -> None:
        """Read the rest; raise BatchError when the checksum is wrong."""
        for _block in self.plain():
            pass
        if self._checksum != self._wanted:
            raise BatchError("its checksum is wrong")


class _Stream:
    """Bytes in a row from blocks."""

    def __init__(self, blocks: Iterable[bytes | bytearray]) -> None:
        self._blocks = iter(blocks)
        self._block = memoryview(b"")

    def read(self, size: int) -> bytes:
        if size < 0 or size > SMALL:
            raise BatchError(f"a field of {size} bytes")
        if size <= len(self._block):
            found, self._block = self._block[:size], self._block[size:]
            return bytes(found)
        return b"".join(bytes(piece) for piece in self._pieces(size))

    def copy(self, size: int, file: IO[bytes]) -> None:
        for piece in self._pieces(size):
            file.write(piece)

    def varint(self) -> int:
        """Read a zigzag-encoded number."""
        value = shift = 0
        while True:
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise BatchError("a number of more than 64 bits")

    def _pieces(self, size: int) -> Iterator[memoryview]:
        while size:
            while not self._block:
                block = next(self._blocks, None)
                if block is None:
                    raise BatchError("it ends too early")
                self._block = memoryview(block)
            piece, self._block = self._block[:size], self._block[size:]
            size -= len(piece)
            yield piece


def _length_of(value: bytes | Path | None) -> int | None:
    if value is None:
        return None
    return value.stat().st_size if isinstance(value, Path) else len(value)


def _varint(value: int) -> bytes:
    """Return a number zigzag-encoded, seven bits a byte."""
    left = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while left > 0x7F:
        encoded.append(0x80 | (left & 0x7F))
        left >>= 7
    encoded.append(left)
    return bytes(encoded)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _stored(data: bytes) -> list[Piece]:
    """Return data as stored blocks of deflate, each in two pieces."""
    view = memoryview(data)
    pieces: list[Piece] = []
    for start in range(0, len(data), _STORED_LIMIT):
        piece = view[start : start + _STORED_LIMIT]
        pieces += [_STORED.pack(0, len(piece), len(piece) ^ 0xFFFF), piece]
    return pieces


def _skip(read: Callable[[int], bytes | bytearray], size: int) -> None:
    while size > 0:
        size -= len(read(min(size, BLOCK)))


def _discard(records: list[Record]) -> None:
    for record in records:
        if record.content is not None:
            record.content.discard()
