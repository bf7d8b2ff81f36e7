"""gunicorn, told in code what a custody host needs: threads, no preloading, one JSON line when it serves."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from strongroom_host.configuration import Configuration
from strongroom_host.storage.database import Database
from strongroom_host.storage.migrate import migrate
from strongroom_host.storage.requests import Requests

if TYPE_CHECKING:
    from flask_openapi.openapi import OpenAPI

_log = logging.getLogger(__name__)

TIMEOUT: Final = 240
"""Seconds after which a worker that no longer answers its arbiter is replaced; a DKG takes less."""

KEEP_ALIVE: Final = 75


class Server(BaseApplication):  # type: ignore[misc]
    """The application is made in each worker: the native module must never be loaded before a fork."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._resume: Callable[[], object] = lambda: None
        super().__init__()

    def load_config(self) -> None:
        file = self._configuration.file
        settings: dict[str, Any] = {
            "bind": [file.listen],
            "workers": file.workers,
            "threads": file.threads,
            "worker_class": "gthread",
            "worker_connections": 1000,
            "timeout": TIMEOUT,
            "graceful_timeout": 30,
            "keepalive": KEEP_ALIVE,
            "preload_app": False,
            "control_socket_disable": True,
            "accesslog": None,
            "loglevel": "warning",
            "proc_name": "strongroom-host",
            "post_worker_init": self._serving,
            "child_exit": self._worker_died,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> OpenAPI:
        from strongroom_host.api.app import create_app
        from strongroom_host.service import build

        service = build(self._configuration)
        self._resume = service.custody.resume
        return create_app(service)

    def _serving(self, worker: Any) -> None:
        """The first worker says that the host serves, and where: the port may have been left to the system. That one,
        and whichever takes a dead one's place, goes on with requests that have all their approvals."""
        if worker.age == 1 or worker.age > self._configuration.file.workers:
            threading.Thread(target=self._go_on, name="resume", daemon=True).start()
        if worker.age != 1:
            return
        where = [_url(each.sock.getsockname()) for each in worker.sockets]
        sys.stdout.write(json.dumps({"ready": True, "listen": where, "pid": worker.ppid}) + "\n")
        sys.stdout.flush()

    def _go_on(self) -> None:
        try:
            self._resume()
        except Exception as error:
            _log.error("requests that are approved wait on: %s", type(error).__name__, exc_info=error)

    def _worker_died(self, _server: Any, worker: Any) -> None:
        database = Database(self._configuration.file.database)
        try:
            left = Requests(database).recover(worker.pid)
            if left:
                _log.warning("worker %d left %d requests unfinished", worker.pid, left)
        finally:
            database.close()


def _url(name: Any) -> str:
    return f"unix:{name}" if isinstance(name, str) else f"http://{name[0]}:{name[1]}"


def prepare(configuration: Configuration) -> None:
    """Before the first worker: the schema is brought up to date, and what a crash left half done is settled."""
    database = Database(configuration.file.database)
    try:
        migrate(database)
        left = Requests(database).recover()
        if left:
            _log.warning("%d requests were unfinished when the host stopped", left)
    finally:
        database.close()
