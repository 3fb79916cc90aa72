"""The command ``imgpipe`` as ``python -m imgpipe``."""

import sys

from imgpipe.cli import main

if __name__ == "__main__":
    sys.exit(main())
