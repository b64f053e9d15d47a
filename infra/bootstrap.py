"""`python -m infra.bootstrap up|train|down`: the deployment by the name that it had before `python -m infra`.

`make bootstrap` calls it. Options follow the word; without a word it is `up`.
"""

import sys

from infra.cli import main

VERBS = {"up": "deploy", "train": "train", "down": "destroy"}


def arguments_of(words: list[str]) -> list[str]:
    """What the words are for `python -m infra`."""
    word, *options = words if words and words[0] in VERBS else ["up", *words]
    return [VERBS[word], *options]


if __name__ == "__main__":
    sys.exit(main(arguments_of(sys.argv[1:])))
