"""`python -m infra <verb>`: the one command line of the stack."""

import sys

from infra.cli import main

sys.exit(main())
