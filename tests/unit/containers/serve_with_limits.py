"""The serving container's program with limits that a test gives as JSON."""

import json
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

from containers.serve.main import main  # noqa: E402
from containers.serve.settings import Limits  # noqa: E402

sys.exit(main(os.environ, Limits(**json.loads(sys.argv[1]))))
