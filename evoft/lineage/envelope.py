"""The population file's first 512 bytes: readable text that vouches for every byte of the file.

HDF5 lets a file begin with a user block of its writer's own.  Ours says what the file is, how long
it is and the SHA-256 of all that follows, and is itself under a CRC-32, so that whatever was cut
off or altered is noticed before HDF5 sees it.  ``head -n 7 FILE`` shows it.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass

from evoft.errors import PopulationDamagedError
from evoft.lineage.journal import newer_schema
from evoft.lineage.plain import SCHEMA

#: Bytes before the HDF5 part.
USERBLOCK = 512
#: The last bytes of the user block, in every schema: ``\ncrc32 HEX\n`` over all before them.
_CRC = 16
_MAGIC = b"evoft population\n"
_LINES = re.compile(
    rb"evoft population\nschema (\d+)\nbytes (\d+)\nsha256 ([0-9a-f]{64})\njournal-bytes (\d+)\n *"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A population file whose bytes are as they were written."""

    #: The whole file, user block included.
    data: bytes
    #: How many bytes of the journal are folded into it.
    journal_bytes: int


def seal(hdf5: bytes, journal_bytes: int) -> bytes:
    """Return the whole file: the user block and then the HDF5 part."""
    text = _MAGIC + b"schema %d\nbytes %d\nsha256 %s\njournal-bytes %d\n" % (
        SCHEMA,
        USERBLOCK + len(hdf5),
        hashlib.sha256(hdf5).hexdigest().encode(),
        journal_bytes,
    )
    text = text.ljust(USERBLOCK - _CRC)
    return text + _crc(text) + hdf5


def unseal(data: bytes, name: str) -> Opened:
    """Check a whole file, byte for byte.

    Args:
        data: The file.
        name: What messages call it.

    Raises:
        PopulationDamagedError: It is cut short, altered, or not a population file at all.
        PopulationSchemaError: It was written by a newer evoft.
    """
    if not data.startswith(_MAGIC):
        raise damaged(name, "it does not begin as a population file does")
    text = data[: USERBLOCK - _CRC]
    if data[USERBLOCK - _CRC : USERBLOCK] != _crc(text):
        raise damaged(name, "its first 512 bytes are not as they were written")
    # Only the magic, the schema and the check above are the same in every schema.
    schema = re.match(rb"schema (\d+)\n", text[len(_MAGIC) :])
    if schema and int(schema[1]) > SCHEMA:
        raise newer_schema(name, int(schema[1]))
    lines = _LINES.fullmatch(text)
    if not lines:
        raise damaged(name, "its first 512 bytes are not as they were written")
    size, sha256, journal_bytes = int(lines[2]), lines[3].decode(), int(lines[4])
    if len(data) != size:
        raise damaged(name, f"it has {len(data)} bytes of {size}")
    if hashlib.sha256(memoryview(data)[USERBLOCK:]).hexdigest() != sha256:
        raise damaged(name, "its SHA-256 is not the one that it was written with")
    return Opened(data, journal_bytes)


def damaged(name: str, what: str) -> PopulationDamagedError:
    """Return the error for a damaged population file; ``what`` says what was found."""
    return PopulationDamagedError(
        f"{name} is damaged or not a population file: {what}; see what can be saved with "
        f"`evoft fsck {name}`"
    )


def _crc(text: bytes) -> bytes:
    return b"\ncrc32 %08x\n" % zlib.crc32(text)
