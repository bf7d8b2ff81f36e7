"""`python -m demo.stop`: ends what `KEEP=1 make demo` left up."""

from __future__ import annotations

import shutil

from demo import finish
from demo.world import BUILD

if __name__ == "__main__":
    print("stopped" if finish.stop_leftovers() else "nothing was up")
    shutil.rmtree(BUILD / "cluster", ignore_errors=True)
