"""Files that others wrote, for a review: read whole within bounds, and shown without what a terminal would obey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom_client.documents import distinct

SHOWN: Final = 160
"""Characters of a name or a value that are shown."""


def read(path: Path, most: int) -> bytes:
    """Raises Refusal `bad_file` where it cannot be read, or is larger than `most` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Refusal("bad_file", f"{path} cannot be read: {error.strerror}") from error
    if len(data) > most:
        raise Refusal("bad_file", f"{path} has more than {most >> 20} MiB")
    return data


def read_object(path: Path, most: int) -> dict[str, Any]:
    """A JSON object that names nothing twice. Raises Refusal `bad_file`."""
    try:
        value = json.loads(read(path, most), object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        raise Refusal("bad_file", f"{path} is no JSON: {shown(str(error))}") from error
    if not isinstance(value, dict):
        raise Refusal("bad_file", f"{path} is not a JSON object")
    return value


def shown(text: str) -> str:
    """Printable, and not endless: whoever wrote it may not be a friend."""
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: SHOWN + 1])
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"
