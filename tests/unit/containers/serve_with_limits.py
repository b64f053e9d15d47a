"""The serving container's program with limits that a test gives as JSON."""

import json
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

from containers.serve import settings  # noqa: E402

settings.REMOTE_TIMEOUT_S = 300.0  # a request that a test holds does not end by itself

from containers.serve.main import main  # noqa: E402

sys.exit(main(os.environ, settings.Limits(**json.loads(sys.argv[1]))))
