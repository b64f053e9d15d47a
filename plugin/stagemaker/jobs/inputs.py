"""Inputs of a job in File mode: objects of S3 that are fetched once, and given to each of a job's hosts."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from stagemaker.core.disk import copy_tree
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.jobs.checks import JobAccount
from stagemaker.jobs.manifests import BadManifest, Manifest, read_manifest
from stagemaker.jobs.sources import MANIFEST, Source

MANIFEST_BYTES = 64 << 20  # (ours) of a manifest, which is read in one piece


def listed(account: JobAccount, scope: Scope, source: Source) -> Manifest:
    """The objects of a prefix, in S3's order, or those that a manifest lists. ValidationException without any."""
    if source.data_type == MANIFEST:
        found = _read(account, scope, source.uri)
    else:
        found = Manifest(source.uri, tuple(key for key, _ in account.list_prefix(scope, source.uri)))
    if not found.keys:
        raise validation_error(f"Data download failed: S3 key: {source.uri} matched no files on s3")
    return found


def fetch(
    account: JobAccount,
    scope: Scope,
    source: Source,
    folders: Sequence[Path],
    scratch: Path,
    cancelled: Callable[[], bool],
) -> None:
    """Put the objects of a source into `folders`, one of each host: into all, or each into one if it is sharded. Every
    object is fetched once. What is needed on the way lies in `scratch`, which goes away. Once `cancelled`, the rest is
    left out. Raises ApiError, or OSError when the disk is at fault."""
    found = listed(account, scope, source)
    keys = tuple(dict.fromkeys(found.keys))  # in a folder, an object is there once
    target = folders[0] if len(folders) == 1 else scratch
    names = account.download_keys(scope, found.prefix, keys, target, cancelled)
    if len(folders) > 1 and not cancelled():
        shares = [source.positions(len(names), host, len(folders)) for host in range(len(folders))]
        spread(target, {f: [names[each] for each in share] for f, share in zip(folders, shares, strict=True)})


def spread(source: Path, shares: Mapping[Path, Iterable[str]]) -> None:
    """Give each folder its share of the files below `source`, which goes away.

    The copies are hard links where the file system has them: n hosts take the disk of one, but a program that writes
    into an input file, rather than replacing it, writes into that of every host."""
    for folder, names in shares.items():
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source / name, folder / name)
    shutil.rmtree(source)


def replicate(source: Path, folders: Sequence[Path]) -> None:
    """Copy all that is below `source` into each of `folders`, for files that are going to be written."""
    for folder in folders:
        copy_tree(source, folder)


def bad_manifest(uri: str, why: str) -> ApiError:
    """The reason of a job whose manifest cannot be used."""
    return validation_error(f"Data download failed: the manifest {uri} cannot be used: {why}")


def _read(account: JobAccount, scope: Scope, uri: str) -> Manifest:
    size, chunks = account.open_object(scope, uri)
    if size > MANIFEST_BYTES:
        chunks.close()
        raise bad_manifest(uri, f"it has {size:,} bytes, and {MANIFEST_BYTES:,} are read")
    try:
        return read_manifest(b"".join(chunks))
    except BadManifest as error:
        raise bad_manifest(uri, str(error)) from error


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links, or too many of them
        shutil.copyfile(source, target)
