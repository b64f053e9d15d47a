"""The command blocks of README.md and of other documents, as a user pastes them into one shell."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.paths import CHECKOUT, paths

BY_HAND = "docs/by-hand.md"
_LIMIT_S = 600
# The AWS CLI of this checkout, which waits for half a second where it would wait for 30 or 120.
_AWS = """#!{python}
import sys, time
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.5))
from awscli.clidriver import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Block:
    """The lines of an indented block, under the title of its section."""

    section: str
    text: str


def blocks(document: str = "README.md") -> list[Block]:
    """Every block, in order. Blank lines inside a block belong to it."""
    found = []
    for section in re.split(r"^##? ", (CHECKOUT / document).read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.MULTILINE):
            found.append(Block(title, re.sub(r"^ {4}", "", block.strip("\n"), flags=re.MULTILINE)))
    return found


def block(beginning: str, document: str = "README.md") -> str:
    """The text of the only block that begins so."""
    (found,) = [one.text for one in blocks(document) if one.text.startswith(beginning)]
    return found


def by_hand() -> str:
    """The block of docs/by-hand.md with a step a command."""
    return block("export AWS_ENDPOINT_URL", BY_HAND)


def path_with_aws(folder: Path) -> str:
    """A PATH with a command `aws` in the folder."""
    (folder / "aws").write_text(_AWS.format(python=paths({}).environments / "plugin" / "bin" / "python"))
    (folder / "aws").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def run(text: str, checkout: Path, environment: Mapping[str, str], replaced: Mapping[str, str]) -> str:
    """Runs lines in one bash, which ends at the first line that fails, and returns what they print.

    `replaced` are texts of the README with those of the test, such as its ports. Raises AssertionError on failure."""
    for old, new in replaced.items():
        text = text.replace(old, new)
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", text],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
