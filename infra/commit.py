"""The commit of the checkout, which names the images that are built from it."""

import subprocess

from infra.paths import CHECKOUT


def head() -> str | None:
    """The commit's short name, as scripts/build puts it on images; None without git, or in a folder without commits."""
    done = _git("rev-parse", "--short", "HEAD")
    return done.strip() if done else None


def changed_files() -> list[str]:
    """Those that differ from the commit, as `git status` tells them; none without git."""
    return (_git("status", "--porcelain") or "").splitlines()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout
