"""`strongroom-host`: serve, migrate, openapi."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from strongroom.errors import Refusal
from strongroom_host import configuration
from strongroom_host.serving import Server, prepare
from strongroom_host.storage.database import Database
from strongroom_host.storage.migrate import migrate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="strongroom-host", description="The host of a threshold custody cluster.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("serve", "serve the API; migrates the database first"),
        ("migrate", "bring the database to the newest schema"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, required=True, help="the JSON configuration file")
    commands.add_parser("openapi", help="print the API's OpenAPI 3.1 document")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        if asked.command == "openapi":
            return _openapi()
        return _serve(asked.config) if asked.command == "serve" else _migrate(asked.config)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n{refusal.remedy}\n")
        return 2


def _serve(path: Path) -> int:
    config = configuration.read(path)
    prepare(config)
    Server(config).run()
    return 0


def _migrate(path: Path) -> int:
    database = Database(configuration.read(path).file.database)
    migrate(database)
    database.close()
    return 0


def _openapi() -> int:
    from strongroom_host.api.app import create_app, document
    from strongroom_host.configuration import Configuration, ConfigurationFile
    from strongroom_host.service import build

    file = ConfigurationFile(database="sqlite:///unused.db", signers={"none": "uds:/none#1"})
    sys.stdout.write(json.dumps(document(create_app(build(Configuration(file, ())))), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
