"""Model data on its way from S3 to /opt/ml/model: fetched once, a copy for each instance."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from stagemaker.core.archive import BadArchive, unpack
from stagemaker.core.disk import copy_tree, explain
from stagemaker.core.errors import ApiError, hinted
from stagemaker.core.refs import Scope
from stagemaker.hosting.context import FleetAccount
from stagemaker.hosting.layout import ModelSource

CONTAINER = "container_1"  # AWS's name for the only container of a model without a ContainerHostname


class BadModelData(Exception):
    """The model data cannot be had; the message says which and why."""


class NoModelData(BadModelData):
    """It cannot be read in S3."""


def fetch_model(
    account: FleetAccount,
    scope: Scope,
    source: ModelSource,
    folders: Sequence[Path],
    scratch: Path,
    max_bytes: int,
    is_over: Callable[[], bool] = lambda: False,
    container: str = CONTAINER,
) -> None:
    """Put the data of `source` into each of `folders`, which exist; what is needed on the way lies in `scratch`. Once
    `is_over`, it may leave them half filled. `container` is who needs it, for messages.

    An archive takes at most `max_bytes` in each. Raises BadModelData.
    """
    try:
        if source.form == "prefix":
            _fetch_prefix(account, scope, source.uri, folders, is_over)
            return
        fetched = scratch / "fetched"
        account.download_file(scope, source.uri, fetched, cancelled=is_over)
        for folder in folders:
            if is_over():
                break
            if source.form == "archive":
                unpack(fetched, folder, max_bytes)
            else:
                shutil.copyfile(fetched, folder / source.uri.rpartition("/")[2])
        fetched.unlink(missing_ok=True)
    except ApiError as error:
        sentence = f'Failed to download model data for container "{CONTAINER}" from URL: "{source.uri}".'
        wanted = (
            "Please ensure that there is an object located at the URL and that the role passed to CreateModel has "
            "permissions to download the object."
        )
        raise NoModelData(hinted(f"{sentence} {wanted}", error.message)) from error
    except BadArchive as error:
        sentence = f'Failed to extract model data archive for container "{container}" from URL "{source.uri}".'
        wanted = "Please ensure that the object located at the URL is a valid tar.gz archive."
        raise BadModelData(hinted(f"{sentence} {wanted}", str(error))) from error
    except OSError as error:
        raise BadModelData(f"Failed to store model data from {source.uri}: {explain(error)}.") from error


def _fetch_prefix(
    account: FleetAccount, scope: Scope, uri: str, folders: Sequence[Path], is_over: Callable[[], bool]
) -> None:
    first, *others = folders
    if account.download_prefix(scope, uri, first, cancelled=is_over) == 0:
        raise BadModelData(f"Could not find model data at {uri}.")
    for folder in others if not is_over() else ():
        copy_tree(first, folder)
