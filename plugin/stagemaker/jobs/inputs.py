"""Files that were fetched once, given to each of a job's hosts."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from stagemaker.core.disk import copy_tree


def spread(source: Path, folders: Sequence[Path], *, sharded: bool) -> None:
    """Give each file below `source` to all of `folders`, or to one in turn if `sharded`. `source` goes away.

    The copies are hard links where the file system has them: n hosts take the disk of one, but a program that writes
    into an input file, rather than replacing it, writes into that of every host."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    for number, name in enumerate(files):
        for folder in [folders[number % len(folders)]] if sharded else folders:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source / name, folder / name)
    shutil.rmtree(source)


def replicate(source: Path, folders: Sequence[Path]) -> None:
    """Copy all that is below `source` into each of `folders`, for files that are going to be written."""
    for folder in folders:
        copy_tree(source, folder)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links, or too many of them
        shutil.copyfile(source, target)
