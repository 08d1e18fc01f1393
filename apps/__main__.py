"""``python -m apps`` is ``creative``."""

import sys

from apps._cli import main

if __name__ == "__main__":
    sys.exit(main())
