"""Lifecycle configurations: the scripts that run when a notebook instance is created and started. Nothing runs here."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.core.errors import validation_error
from stagemaker.core.kinds import NOTEBOOK_INSTANCE, NOTEBOOK_LIFECYCLE_CONFIG
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.notebooks.boot import HOOKS
from stagemaker.notebooks.requests import LIFECYCLE_CONFIG_NAME

_SORT = {name: name for name in ("CreationTime", "LastModifiedTime")} | {"Name": LIFECYCLE_CONFIG_NAME}
_SHOWN = (LIFECYCLE_CONFIG_NAME, "NotebookInstanceLifecycleConfigArn", "CreationTime", "LastModifiedTime")


class LifecycleConfigs:
    """The five operations. `clock` is epoch seconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def create(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Keep the scripts."""
        ref, now_s = _ref(scope, request), self._clock()
        times = {"CreationTime": now_s, "LastModifiedTime": now_s}
        record = {**request, **times, "NotebookInstanceLifecycleConfigArn": ref.arn, "Tags": tag_list(request)}
        scripts_of(record)
        with self._store.lock:
            if self._store.find(ref.arn) is not None:
                raise _unable("create", ref, "already exists.")
            self._store.put(ref, record)
        return {"NotebookInstanceLifecycleConfigArn": ref.arn}

    def describe(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """What was given, with ARN and times."""
        return described(self.get(_ref(scope, request), "describe"))

    def list(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Summaries, one page of them, newest first unless asked otherwise."""
        records = self._store.all(scope, NOTEBOOK_LIFECYCLE_CONFIG)
        shown, token = page(records, request, name=LIFECYCLE_CONFIG_NAME, sort=_SORT)
        found = [{key: record[key] for key in _SHOWN} for record in shown]
        return {"NotebookInstanceLifecycleConfigs": found, **({"NextToken": token} if token else {})}

    def update(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Replace the scripts that are given; an instance runs them from its next start on."""
        ref = _ref(scope, request)
        with self._store.lock:
            record = {**self.get(ref, "update"), **request, "LastModifiedTime": self._clock()}
            scripts_of(record)
            self._store.put(ref, record)
        return {}

    def delete(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Forget it. Refused while an instance names it (ours: AWS documents neither)."""
        ref = _ref(scope, request)
        with self._store.lock:
            self.get(ref, "delete")
            instances = self._store.all(scope, NOTEBOOK_INSTANCE)
            users = [one["NotebookInstanceName"] for one in instances if one.get(LIFECYCLE_CONFIG_NAME) == ref.name]
            if users:
                raise _unable("delete", ref, f"is used by {', '.join(users)}.")
            self._store.delete(ref)
        return {}

    def get(self, ref: Ref, purpose: str) -> Record:
        """The record; ValidationException, in AWS's words, when there is none: one cannot `purpose` it."""
        record = self._store.get(ref)
        if record is None:
            raise _unable(purpose, ref, "does not exist.")
        return record


def scripts_of(record: Mapping[str, Any]) -> dict[str, bytes]:
    """The scripts of a configuration that has them, by hook. ValidationException for what is not base64."""
    contents = {hook: one["Content"] for hook in HOOKS for one in record.get(hook, []) if "Content" in one}
    try:
        return {hook: base64.b64decode(content, validate=True) for hook, content in contents.items()}
    except binascii.Error:
        raise validation_error("The scripts of a lifecycle configuration must be base64-encoded.") from None


def _ref(scope: Scope, request: Mapping[str, Any]) -> Ref:
    return Ref(scope, NOTEBOOK_LIFECYCLE_CONFIG, request[LIFECYCLE_CONFIG_NAME])


def _unable(purpose: str, ref: Ref, details: str) -> Exception:
    return validation_error(
        f"Unable to {purpose} Notebook Instance Lifecycle Config '{ref.arn}'. (Details: Notebook Instance Lifecycle "
        f"Config {details})"
    )
