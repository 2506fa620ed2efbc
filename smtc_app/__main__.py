"""Entry of `smtc-app` and `python -m smtc_app`."""

from __future__ import annotations

import sys

from smtc_app.cli import main

if __name__ == "__main__":
    sys.exit(main())
