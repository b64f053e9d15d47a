"""The files of one training job: the folder that it sees as /opt/ml, and what of it goes to S3."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from stagemaker.training.training_plan import FOLDERS, TrainingPlan

FAILURE_CHARS = 1024  # AWS: so much of output/failure becomes the FailureReason
_GZIP_LEVEL = 1  # weights hardly compress: higher levels cost seconds and save nothing


def lay_out(plan: TrainingPlan, base: Path) -> None:
    """Create `base` and everything in it but the data."""
    folders = [*FOLDERS, *([plan.checkpoints.folder] if plan.checkpoints else [])]
    for folder in folders:
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, text in plan.files.items():
        (base / name).write_text(text)


def read_failure(base: Path) -> str:
    """The start of what the container wrote to output/failure; empty when it wrote nothing that can be read."""
    try:
        with (base / "output" / "failure").open(errors="replace") as file:
            return file.read(FAILURE_CHARS).strip()
    except OSError:
        return ""


def pack(folder: Path, archive: Path) -> bool:
    """Write the content of `folder` as a .tar.gz that appears whole or not at all; False when there is nothing."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if names:
        partial = archive.with_suffix(".partial")
        with tarfile.open(partial, "w:gz", compresslevel=_GZIP_LEVEL) as tar:
            for name in names:
                tar.add(folder / name, arcname=name)
        partial.replace(archive)
    return bool(names)


class Changes:
    """What in a folder is new or changed since it was last asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = dict(self._files())

    def take(self) -> list[str]:
        """Paths relative to the folder. A file that disappears meanwhile is left out."""
        files = dict(self._files())
        changed = [name for name, state in files.items() if self._seen.get(name) != state]
        self._seen = files
        return changed

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for path in sorted(self._folder.rglob("*")):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield path.relative_to(self._folder).as_posix(), (state.st_mtime_ns, state.st_size)
