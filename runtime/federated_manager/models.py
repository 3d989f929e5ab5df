"""Model folders as zips on disk: made, limited, checked and unpacked; never in memory as a whole."""

import errno
import logging
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from runtime.archives import pack, unpack
from runtime.errors import ArchiveError
from runtime.federated_manager.channel.base import Content, blake3_of, sha256_of
from runtime.federated_manager.errors import ModelError
from runtime.federated_manager.messages import BLAKE3, SHA256

log = logging.getLogger(__name__)

# Weights compress badly, and trying takes longer than sending them: the start of each file decides.
SAMPLE = 256 * 1024
WORTH_COMPRESSING = 0.7
_OF_NAMES = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


def pack_model(folder: Path, target: Path, limit: int) -> Path:
    """Zip a folder's content, without its name, into `target`, which appears when it is complete; return it.

    Raises ModelError when it's longer than `limit` bytes or when there's no model.
    """
    partial = target.with_name(f".{target.name}.part")
    compression = zipfile.ZIP_DEFLATED if _shrinks(folder) else zipfile.ZIP_STORED
    try:
        pack(f"{folder}/*", partial, compression)
    except ArchiveError as error:
        raise ModelError(f"the AI engine wrote no model that can be sent: {error}") from error
    size = partial.stat().st_size
    if size > limit:
        partial.unlink()
        raise ModelError(f"the model has {size} bytes as a zip; at most {limit} are allowed")
    partial.replace(target)
    return target


def unpack_model(archive: Path, folder: Path) -> None:
    """Unpack a zip into a folder in place of its content; raise ModelError when it's damaged or empty."""
    clear(folder)
    try:
        unpack(archive, folder)
    except (ArchiveError, zlib.error, RuntimeError, ValueError) as error:
        raise ModelError(f"the model is not valid: {error}") from error
    except OSError as error:
        # Names that no file can have are the sender's fault; a full disk is not.
        if error.errno not in _OF_NAMES:
            raise
        raise ModelError(f"the model is not valid: {os.strerror(error.errno)}") from error
    if not any(folder.iterdir()):
        raise ModelError("the model is not valid: the zip is empty")


def save_model(content: Content, headers: Mapping[str, str], target: Path, limit: int) -> Path:
    """Save a received model to a file and check its digest, if it has one.

    Raises ModelError when it's damaged or longer than `limit` bytes.
    """
    if content.size > limit:
        content.discard()
        raise ModelError(f"the model has {content.size} bytes; at most {limit} are allowed")
    content.save(target)
    # A model in storage has both digests; one is enough.
    for header, name, take in ((BLAKE3, "BLAKE3", blake3_of), (SHA256, "SHA-256", sha256_of)):
        if wanted := headers.get(header):
            if take(target) != wanted:
                target.unlink()
                raise ModelError(f"the model is not the one that was sent: its {name} differs")
            break
    return target


def clear(folder: Path) -> None:
    """Empty a folder, making it where it does not exist; the folder itself may be a mount and stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def remove(folder: Path) -> None:
    """Remove a folder with its content."""
    shutil.rmtree(folder, ignore_errors=True)


def _shrinks(folder: Path) -> bool:
    """Return whether the starts of the folder's files compress well, weighted by the files' lengths."""
    before = after = 0.0
    for current, _folders, names in os.walk(folder):
        for name in names:
            file = Path(current, name)
            if not file.is_file():
                continue
            with file.open("rb") as opened:
                sample = opened.read(SAMPLE)
            if sample:
                length = file.stat().st_size
                before += length
                after += length * len(zlib.compress(sample, 1)) / len(sample)
    return after < before * WORTH_COMPRESSING
