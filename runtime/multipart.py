"""Multipart bodies that are read from disk while they are sent, so that a model never has to fit in memory."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

BLOCK = 64 * 1024


@dataclass(frozen=True)
class FilePart:
    """One file of a multipart body, sent under `name`."""

    name: str
    path: Path


class MultipartBody:
    """Present a JSON part `data` and file parts as one readable body of known length.

    The part `data` has no content type and the file parts have `application/octet-stream`, as the receivers expect.
    """

    def __init__(self, data: Mapping[str, object], files: Sequence[FilePart] = ()) -> None:
        self.boundary = uuid4().hex
        self._pieces = list(self._split(data, files))
        self._length = sum(len(piece) if isinstance(piece, bytes) else piece.stat().st_size for piece in self._pieces)
        self._blocks = self._read_pieces()
        self._rest = b""

    @property
    def content_type(self) -> str:
        """Name the content type of the request, with the boundary."""
        return f"multipart/form-data; boundary={self.boundary}"

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, all the rest when it is negative."""
        if size < 0:
            content, self._rest = self._rest + b"".join(self._blocks), b""
            return content
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._rest = block
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def _split(self, data: Mapping[str, object], files: Sequence[FilePart]) -> Iterator[bytes | Path]:
        document = json.dumps(data, separators=(",", ":"))
        yield f'--{self.boundary}\r\nContent-Disposition: form-data; name="data"\r\n\r\n{document}\r\n'.encode()
        for part in files:
            yield (
                f'--{self.boundary}\r\nContent-Disposition: form-data; name="{part.name}"; filename="{part.name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            ).encode()
            yield part.path
            yield b"\r\n"
        yield f"--{self.boundary}--\r\n".encode()

    def _read_pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            with piece.open("rb") as file:
                while block := file.read(BLOCK):
                    yield block
