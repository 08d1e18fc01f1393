"""``python -m apps`` is ``creative``: this is where both begin, with as little as possible loaded."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; the exit status."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve one another
    try:
        from apps._cli import main as command_line
    except KeyboardInterrupt:  # Ctrl-C while we load
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
