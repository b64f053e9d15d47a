"""Folders of a job's hosts whose files go to S3: again and again while they are written, or once at the end."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.text import printable
from stagemaker.jobs.artifacts import Changes
from stagemaker.jobs.checks import JobAccount

PERIOD_S = 10.0  # ours: AWS says "continuously"
KEY_BYTES = 1024  # S3's limit of a key


class Mirror:
    """Sends files of one folder of each host under the prefix `uri`: what is new or changed since the mirror was made.
    With `deletes`, what a program deletes on all hosts is deleted there too.

    For one thread. `link` is a path of ours, on the folders' disk, that is used while a file is sent; `say` writes a
    sentence into the log of a host; `what` is the word for a file in it. Links inside a folder are followed, or left
    out without `links`; those that lead out of it never are followed."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        uri: str,
        *,
        scope: Scope,
        account: JobAccount,
        say: Callable[[str, str], None],
        link: Path,
        what: str,
        links: bool = True,
        deletes: bool = False,
    ) -> None:
        self._uri, self._scope, self._account, self._say = uri.rstrip("/"), scope, account, say
        self._link, self._what, self._links = link, what, links
        self._changes = {host: Changes(folder) for host, folder in folders.items()}
        self._deletes, self._names = deletes, self._there()  # the names that S3 has, as far as we sent or fetched them

    def send(self, *, last: bool = False) -> list[str]:
        """Of the same path on several hosts the first host's stays. What fails is a line in its host's log, and is
        tried again with the next call, unless this is the `last`. Answers what went wrong, a sentence each."""
        failed = []
        for host, changes in reversed(self._changes.items()):
            for name in changes.take():
                if not self._links and (changes.folder / name).is_symlink():
                    continue
                if problem := self._send(changes, name):
                    for_good = last or key_problem(f"{self._uri}/{name}")
                    outcome = "is not saved" if for_good else "is not saved yet, and is tried again"
                    self._say(host, f"the {self._what} '{printable(name)}' {outcome}: {problem}")
                    failed.append(problem)
        if self._deletes:
            failed += self._delete(last)
        return failed

    def _there(self) -> set[str]:
        return {name for changes in self._changes.values() for name in changes.names}

    def _delete(self, last: bool) -> list[str]:
        """Delete what is on no host any more; what went wrong."""
        failed, names = [], self._there()
        for name in sorted(self._names - names):
            if any(os.path.lexists(changes.folder / name) for changes in self._changes.values()):
                continue  # it cannot be read now: that is another thing
            uri = f"{self._uri}/{name}"
            try:
                if not key_problem(uri):
                    self._account.delete_object(self._scope, uri)
            except ApiError as error:
                names.add(name)
                outcome = "is not deleted" if last else "is not deleted yet, and is tried again"
                self._say(next(iter(self._changes)), f"the {self._what} '{printable(name)}' {outcome}: {error.message}")
                failed.append(error.message)
        self._names = names
        return failed

    def _send(self, changes: Changes, name: str) -> str:
        """What went wrong, or nothing. By a link of our own: the program may rename or delete the file meanwhile."""
        uri = f"{self._uri}/{name}"
        if problem := key_problem(uri):
            return problem
        try:
            found = changes.path(name)
            if found is None:
                return ""
            try:
                os.link(found, self._link)
            except FileNotFoundError:
                return ""
            try:
                self._account.upload_file(self._scope, self._link, uri)
            finally:
                self._link.unlink()
        except (ApiError, OSError) as error:
            changes.put_back(name)
            return error.message if isinstance(error, ApiError) else explain(error)
        return ""


def key_problem(uri: str) -> str:
    """Why S3 takes no key of this name, or nothing."""
    try:
        size = len(uri.partition("://")[2].partition("/")[2].encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8, which S3 asks for"
    return f"its key would have {size:,} bytes, and S3 takes {KEY_BYTES:,}" if size > KEY_BYTES else ""
