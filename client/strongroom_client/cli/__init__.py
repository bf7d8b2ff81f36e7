"""The command `strongroom`: one file per group of commands.

Exit status: 0 done, 1 refused, 2 used wrongly. With --json one document goes to stdout; progress goes to stderr.
"""

from __future__ import annotations

from strongroom_client.cli.commands import main

__all__ = ["main"]
