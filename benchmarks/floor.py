"""The transport's floor: the same app, the same committed rows, the same trips of the same sizes, an empty ceremony.

`python -m benchmarks.floor serve CONFIG` is the host with one more route; `... echo SOCKET` stands
in for a signer: the listener's real loop, and an answer as long as the question asks for.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from benchmarks.served import Line
from benchmarks.trips import Trip
from strongroom.signer.serve import Server as Listener
from strongroom_client.cluster.process import Process, module
from strongroom_host.configuration import read
from strongroom_host.connection import Address, exchange
from strongroom_host.serving import Server as HostServer
from strongroom_host.serving import prepare
from strongroom_host.signers import Signers
from strongroom_host.storage.database import Database
from strongroom_host.storage.requests import now_ms
from strongroom_host.storage.tables import TRANSITIONS

PORT = 5000
PATH = "/floor"
KEY = "floor"
MOST = 3
"""Signers of a set: MuSig2's three of three."""


def trip(signers: Signers, names: Sequence[str], sizes: Trip, during: Any = None) -> None:
    question, answer = sizes
    payload = answer.to_bytes(4, "big").ljust(question, b"\0")
    deadline = time.monotonic() + 5
    with signers.lines(names, deadline) as lines:
        exchange([(lines[name], payload) for name in names], deadline, during)  # type: ignore[misc]


def question(body: bytes, trips: Sequence[Trip], signers: int) -> bytes:
    """A request's body, and how long the floor's trips shall be."""
    return json.dumps({**json.loads(body), "trips": trips, "signers": signers}).encode()


class FloorServer(HostServer):
    def load(self) -> Any:
        app = super().load()
        file = self._configuration.file
        database = Database(file.database, file.threads)
        signers = Signers({name: Address.parse(address) for name, address in file.signers.items()})
        names = list(file.signers)

        def commit() -> None:
            row = {"request": os.urandom(16).hex(), "state": "signing", "at": now_ms()}
            database.write(lambda connection: connection.execute(sa.insert(TRANSITIONS).values(row)))

        def floor() -> Any:
            from flask import request

            asked = request.get_json()
            trips = [(int(question), int(answer)) for question, answer in asked["trips"]]
            # As the host commits: what it reserves in the first trip, and that the last is near in the one before it.
            commits = {0, len(trips) - 2}
            for number, sizes in enumerate(trips):
                trip(signers, names[: asked["signers"]], sizes, commit if number in commits else None)
            return {"request": "0" * 32, "signature": "0" * 128}

        app.add_url_rule(PATH, "floor", floor, methods=["POST"])
        return app


class Floor:
    """The floor's host and the stand-ins for signers, as processes."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [sockets / f"echo-{number}.sock" for number in range(1, MOST + 1)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = int(free.getsockname()[1])
        config = {
            "listen": f"127.0.0.1:{self._port}",
            "database": f"sqlite:///{folder / 'floor.db'}",
            "api_key_hashes": [hashlib.sha256(KEY.encode()).hexdigest()],
            "signers": {f"echo-{number}": f"uds:{path}#{PORT}" for number, path in enumerate(paths, 1)},
        }
        file = folder / "floor.json"
        file.write_text(json.dumps(config))
        root = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        echoes = [
            Process(path.stem, module("benchmarks.floor", "echo", path), folder, variables=root) for path in paths
        ]
        self._processes = [
            *echoes,
            Process("floor", module("benchmarks.floor", "serve", file), folder, variables=root),
        ]

    def __enter__(self) -> Line:
        for process in self._processes:
            process.launch()
        for process in self._processes:
            process.wait_ready()
        return Line(self._port, KEY)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.stop()


def echo(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    answers: dict[int, bytes] = {}
    server = Listener(listener, lambda p: answers.setdefault(n := int.from_bytes(p[:4], "big"), bytes(n)), PORT)
    threading.Thread(target=server.run, daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(Path(sys.argv[2]))
    else:
        configuration = read(Path(sys.argv[2]))
        prepare(configuration)
        FloorServer(configuration).run()
