"""`python -m demo.stop`: ends what `KEEP=1 make demo` left up."""

from __future__ import annotations

from demo import finish

if __name__ == "__main__":
    print("stopped" if finish.stop_leftovers() else "nothing was up")
