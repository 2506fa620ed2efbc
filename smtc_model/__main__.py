"""`python -m smtc_model` is the command `smtc-model`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
