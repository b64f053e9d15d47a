"""`python -m infra.bootstrap up|train|down`: the name that the deployment had before it was `python -m infra`.

`make bootstrap` calls it. Options follow the word; without one it is `up`.
"""

import sys

from infra.cli import main

VERBS = {"up": "deploy", "train": "train", "down": "destroy"}

if __name__ == "__main__":
    word, *options = sys.argv[1:] if sys.argv[1:2] and sys.argv[1] in VERBS else ["up", *sys.argv[1:]]
    sys.exit(main([VERBS[word], *options]))
