"""Terraform against a stack, where it is installed."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Where a machine without internet has Terraform's providers, in the layout of a mirror.
PROVIDERS = Path(os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins"))
NEEDS_TERRAFORM = pytest.mark.skipif(
    not (shutil.which("terraform") and PROVIDERS.is_dir()), reason="needs Terraform and its providers"
)


@contextmanager
def applied(folder: Path, configuration: str, run: Callable[..., object]) -> Iterator[None]:
    """The configuration, applied from the new folder; a plan then finds nothing to change. At the end it is destroyed.
    `run` runs a command, and fails unless its exit code is 0."""
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(configuration)
    terraform = ("terraform", f"-chdir={folder}")
    run(*terraform, "init", "-no-color", f"-plugin-dir={PROVIDERS}")
    run(*terraform, "apply", "-no-color", "-auto-approve")
    run(*terraform, "plan", "-no-color", "-detailed-exitcode")  # exits with 2 when something would change
    yield
    run(*terraform, "destroy", "-no-color", "-auto-approve")
