"""``python -m sgdm_lib`` is the ``sgdm`` command."""

import sys

from sgdm_lib.cli import main

if __name__ == "__main__":
    sys.exit(main())
