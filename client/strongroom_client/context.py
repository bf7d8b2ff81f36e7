"""Where a command finds its host, its API key, its pins and its mode: one JSON file.

`{"host": URL, "api_key_file": path, "pins": folder, "mode": "production" | "simulated"}` and, optional,
`"requester"`: path of the requester's key, and `"roster"`: the roster file that `evidence show` judges by.
Relative paths start at the file's own folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from strongroom.errors import Refusal
from strongroom.evidence.statement import Mode
from strongroom.signer.configuration import Officers, parse_mode
from strongroom_client import documents, officers
from strongroom_client.api import Api

VARIABLE = "STRONGROOM_CONFIG"
DEFAULT = Path("~/.config/strongroom/config.json")


@dataclass(frozen=True)
class Context:
    """pins: the folder with officers.json. requester, roster: see above; None where not named."""

    host: str
    api_key_file: Path
    pins: Path
    mode: Mode
    requester: Path | None
    roster: Path | None = None

    @classmethod
    def load(cls, path: Path | None) -> Context:
        """From `path`, else STRONGROOM_CONFIG, else the default. Raises Refusal `bad_context`."""
        path = path or Path(os.environ.get(VARIABLE) or DEFAULT).expanduser()
        document = documents.read(path, "bad_context")
        base = path.resolve().parent
        host, mode = document.text("host"), document.text("mode")
        key, pins = base / document.text("api_key_file"), base / document.text("pins")
        requester, roster = (
            base / document.text(key) if document.has(key) else None for key in ("requester", "roster")
        )
        document.end()
        if mode not in ("production", "simulated"):
            raise document.wrong("has a mode that is neither production nor simulated")
        return cls(host, key, pins, parse_mode(mode), requester, roster)

    def api(self) -> Api:
        try:
            key = self.api_key_file.read_text().strip()
        except OSError as error:
            raise Refusal("bad_context", f"{self.api_key_file} cannot be read: {error.strerror}") from error
        return Api(self.host, key)

    def officers(self) -> Officers:
        return officers.load_pins(self.pins)
