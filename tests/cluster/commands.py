"""Runs the command `strongroom` as people do, and reads what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from strongroom_client.cli.commands import app
from strongroom_client.cluster import Cluster

STRONGROOM = Path(sys.executable).with_name("strongroom")


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout is one JSON document."""
        return json.loads(self.out)


def strongroom(*arguments: str | Path, config: Path | None = None) -> Ran:
    command = [str(STRONGROOM), *map(str, arguments)]
    if config is not None:
        command += ["--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def inside(*arguments: str | Path) -> Ran:
    """As `strongroom`, in this process: for the many commands that start nothing."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return Ran(done.exit_code, done.stdout, done.stderr)


def at(cluster: Cluster, *arguments: str | Path) -> Ran:
    """In this process, with the cluster's own context."""
    return inside(*arguments, "--config", cluster.plan.context)


def alive(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
