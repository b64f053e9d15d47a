"""The models of one instance of a multi-model endpoint: from S3 to its disk, and in and out of its container's memory.

A model is fetched and loaded when a request for it comes; all requests for it wait for the same load. It stays until
there is no room for another one: first in memory, which the container says by 507, then on the disk. The rules of who
goes are in multi_model.py.
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from stagemaker.core.archive import ArchiveTooLarge
from stagemaker.core.disk import is_full
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.http_client import HttpClient, NotReached, Reply, TooLarge
from stagemaker.hosting.layout import ModelSource
from stagemaker.hosting.model_data import BadModelData, NoModelData, fetch_model
from stagemaker.hosting.model_error import NO_STATUS, is_error, model_error
from stagemaker.hosting.multi_model import (
    FOLDER,
    HeldModel,
    ModelsSource,
    model_name,
    no_archive,
    not_ready,
    to_delete,
    to_unload,
)
from stagemaker.hosting.multi_model_metrics import MINUTE_S, MultiModelMetrics
from stagemaker.runtime.contract import Container

LOG = logging.getLogger(__name__)
LOAD_S = 360.0  # AWS's: fetching and loading go on so long, also when no request waits any more
UNLOAD_S = 60.0  # (ours) for the container's answer
MAX_LOADING = 16  # (ours) models of one instance that are loaded at once, or wait for it
MAX_REPLY_BYTES = 64 << 10


@dataclass(eq=False)
class _Work:
    """What goes on with a model: it is being loaded, or unloaded. `error` is why it was not loaded."""

    due_s: float  # by time.monotonic
    ended: bool = False
    error: ApiError | NotReached | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Model:
    """A model that a request has named. It is changed under the lock of its cache."""

    target: str
    name: str
    uses: int = 0  # requests that need it
    turn: int = 0
    size_bytes: int | None = None  # on the disk
    loaded_in: Container | None = None
    work: _Work | None = None


class ModelCache:
    """The models of one instance, whose folder is `base_dir`. All methods may be called from any thread.

    Archives take at most `max_bytes` on the disk, all together. `load_s`: how long fetching and loading may take.
    """

    def __init__(
        self,
        source: ModelsSource,
        base_dir: Path,
        max_bytes: int,
        context: FleetContext,
        scope: Scope,
        log_group: str,
        metrics: MultiModelMetrics,
        log: Callable[[str], None],
        *,
        load_s: float = LOAD_S,
    ) -> None:
        self._source, self._base_dir, self._max_bytes = source, base_dir, max_bytes
        self._context, self._scope, self._log_group = context, scope, log_group
        self._metrics, self._log, self._load_s = metrics, log, load_s
        self._changed = threading.Condition()
        self._disk = threading.Lock()  # one archive is fetched at a time, so that the bound holds
        self._models: dict[str, _Model] = {}
        self._turns = 0
        self._container: Container | None = None
        self._ended = False
        self._minute = 0

    @property
    def loading_until_s(self) -> float:
        """Until when the container may be busy with loading, by time.monotonic; 0 when it is not."""
        with self._changed:
            return max((model.work.due_s for model in self._models.values() if model.work), default=0.0)

    def serve(self, container: Container) -> None:
        """From now on models are loaded into this container. Another one than before has none."""
        with self._changed:
            self._container = container

    def holds(self, target: str) -> bool:
        """Whether the model is loaded, or on its way."""
        with self._changed:
            model = self._models.get(target)
            return model is not None and (model.work is not None or self._is_loaded(model))

    def loaded(self) -> list[str]:
        """The TargetModels that are loaded now."""
        with self._changed:
            return sorted(model.target for model in self._models.values() if self._is_loaded(model))

    def report(self) -> None:
        """Tell CloudWatch once in a minute how many models are loaded. Called more often, by one thread."""
        minute = int(self._context.clock() // MINUTE_S)
        if minute != self._minute:
            self._minute = minute
            self._metrics.loaded(len(self.loaded()))

    @contextmanager
    def use(self, target: str, client: HttpClient, due_s: float) -> Iterator[str]:
        """The name by which the container knows the model, which is loaded and stays so until the end of the block.

        Raises ModelNotReadyException (429) when it is not loaded at `due_s` (by time.monotonic), ValidationError
        without an archive that can be unpacked, ModelError when the container does not load it, and NotReached when
        the container is not there any more.
        """
        began_s = time.monotonic()
        with self._changed:
            model = self._models.setdefault(target, _Model(target, model_name(self._source.uri(target))))
            model.uses += 1
            hit = self._is_loaded(model)
        try:
            self._metrics.hit(hit)
            self._await_loaded(model, client, due_s)
            if not hit:
                self._metrics.time("ModelLoadingWaitTime", time.monotonic() - began_s)
            yield model.name
        finally:
            self._release(model, client)

    def forget(self, target: str) -> None:
        """The container says that it has not loaded the model: the next request has it loaded again."""
        with self._changed:
            self._models[target].loaded_in = None

    def make_room(self, client: HttpClient) -> bool:
        """Unload a model that no request needs; whether there was one."""
        with self._changed:
            target = to_unload(self._held())
            if target is None:
                return False
            model = self._models[target]
            work = model.work = _Work(time.monotonic() + UNLOAD_S)
        self._unload(model, work, client)
        return True

    def end(self) -> None:
        """Load nothing any more, and wait for what goes on: it ends soon, since the container has ended."""
        with self._changed:
            self._ended = True
            for model in self._models.values():
                if model.work:
                    model.work.cancelled.set()
            self._changed.wait_for(lambda: not any(model.work for model in self._models.values()))

    def _in_memory(self, model: _Model) -> bool:
        return model.loaded_in is not None and model.loaded_in is self._container

    def _is_loaded(self, model: _Model) -> bool:
        return self._in_memory(model) and model.work is None

    def _held(self) -> list[HeldModel]:
        return [
            HeldModel(
                model.target,
                model.turn,
                model.uses > 0 or model.work is not None,
                self._is_loaded(model),
                model.size_bytes is not None,
            )
            for model in self._models.values()
        ]

    def _await_loaded(self, model: _Model, client: HttpClient, due_s: float) -> None:
        with self._changed:
            while not self._is_loaded(model):
                work = model.work or self._start_load(model, client)
                if not self._changed.wait_for(lambda: work.ended, due_s - time.monotonic()):  # noqa: B023 - of this turn
                    raise not_ready(model.target)
                if work.error is not None:
                    raise work.error

    def _start_load(self, model: _Model, client: HttpClient) -> _Work:
        container = self._container
        if self._ended or container is None:
            raise NotReached("its instance has ended")
        if sum(other.work is not None for other in self._models.values()) >= MAX_LOADING:
            raise not_ready(model.target)
        work = _Work(time.monotonic() + self._load_s)
        load = partial(self._load, model, work, client, container)
        self._context.supervisor.start(f"model {model.name}", load, cancel=work.cancelled.set)
        model.work = work
        return work

    def _release(self, model: _Model, client: HttpClient) -> None:
        with self._changed:
            model.uses -= 1
            self._turns += 1
            model.turn = self._turns
            self._drop_if_nothing(model)
            if self._source.caches or model.uses or not self._is_loaded(model) or self._ended:
                return
            work = _Work(time.monotonic() + UNLOAD_S)
            unload = partial(self._unload, model, work, client, delete=True)
            with suppress(ApiError, RuntimeError):  # at the end, and without threads: then it stays
                self._context.supervisor.start(f"model {model.name}", unload, cancel=work.cancelled.set)
                model.work = work

    def _drop_if_nothing(self, model: _Model) -> None:
        """Forget a model that nothing is left of, such as one that was never there."""
        if model.uses == 0 and model.work is None and model.size_bytes is None and not self._is_loaded(model):
            self._models.pop(model.target, None)

    def _finish(self, model: _Model, work: _Work) -> None:
        with self._changed:
            work.ended, model.work = True, None
            self._drop_if_nothing(model)
            self._changed.notify_all()

    def _load(self, model: _Model, work: _Work, client: HttpClient, container: Container) -> None:
        """Fetch a model, if need be, and load it: in a thread of its own."""
        try:
            self._fetch(model, work, client)
            self._load_into(model, work, client, container)
            with self._changed:
                model.loaded_in = container
        except (ApiError, NotReached) as error:
            work.error = error
        except Exception as error:
            LOG.exception("model %s of %s", model.target, self._source.prefix)
            work.error = ApiError("InternalFailure", f"The model could not be loaded: {type(error).__name__}.", 500)
        finally:
            self._finish(model, work)

    def _fetch(self, model: _Model, work: _Work, client: HttpClient) -> None:
        """From S3 to the disk, unless it is there. Files of other models make room."""
        if not self._disk.acquire(timeout=max(0.0, work.due_s - time.monotonic())):
            raise self._too_late()
        try:
            began_s = time.monotonic()
            while model.size_bytes is None:
                size_bytes = self._try_to_fetch(model, work)
                if size_bytes is not None:
                    self._metrics.time("ModelDownloadingTime", time.monotonic() - began_s)
                    with self._changed:
                        model.size_bytes = size_bytes
                elif not self._free_disk(client):
                    bound = f"models take at most {self._max_bytes:,} bytes there (VolumeSizeInGB)"
                    raise ApiError("ValidationError", f"No room on the disk for model {model.target}: {bound}.")
        finally:
            self._disk.release()

    def _try_to_fetch(self, model: _Model, work: _Work) -> int | None:
        """The bytes that it takes on the disk; None when there is no room, and then nothing is left of it."""
        uri = self._source.uri(model.target)
        folder, scratch = self._folder(model), self._base_dir / "fetched"
        with self._changed:
            left_bytes = self._max_bytes - sum(other.size_bytes or 0 for other in self._models.values())

        def is_over() -> bool:
            return work.cancelled.is_set() or time.monotonic() >= work.due_s

        fetched = False
        try:
            scratch.mkdir(exist_ok=True)
            (folder / "model").mkdir(parents=True)
            source = ModelSource(uri, "archive")
            account = self._context.account
            fetch_model(account, self._scope, source, [folder / "model"], scratch, left_bytes, is_over)
            if is_over():
                raise self._too_late()
            fetched = True
            return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        except BadModelData as error:
            if is_full(error) or isinstance(error.__cause__, ArchiveTooLarge):
                return None
            if isinstance(error, NoModelData) and isinstance(error.__cause__, ApiError):
                raise no_archive(uri, error.__cause__.message) from error
            raise ApiError("ValidationError", str(error)) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if not fetched:
                shutil.rmtree(folder, ignore_errors=True)

    def _load_into(self, model: _Model, work: _Work, client: HttpClient, container: Container) -> None:
        """POST /models. Others are unloaded as long as the container has no memory for it."""
        began_s = time.monotonic()
        url = f"{container.base}/{FOLDER}/{model.name}/model"
        body = json.dumps({"model_name": model.name, "url": url}).encode()
        while True:
            reply = self._ask(client, "POST", "/models", work.due_s, body)
            if reply.status != HTTPStatus.INSUFFICIENT_STORAGE or not self.make_room(client):
                break
        if is_error(reply.status) and reply.status != HTTPStatus.CONFLICT:  # 409: it is loaded
            raise model_error(self._scope, self._log_group, reply.status, reply.body)
        took_s = time.monotonic() - began_s
        self._metrics.time("ModelLoadingTime", took_s)
        self._log(f"Stagemaker: {model.target} is loaded as model {model.name}, in {took_s:.1f} s.")

    def _unload(self, model: _Model, work: _Work, client: HttpClient, *, delete: bool = False) -> None:
        """DELETE /models/{name}, where it is loaded, and with `delete` its files too. Whatever comes of it, the next
        request loads the model anew."""
        began_s = time.monotonic()
        try:
            if self._in_memory(model):
                self._ask(client, "DELETE", f"/models/{model.name}", work.due_s)
                self._metrics.time("ModelUnloadingTime", time.monotonic() - began_s)
        except (ApiError, NotReached) as error:
            self._log(f"Stagemaker: {model.target} could not be unloaded: {error}.")
        finally:
            if delete:
                shutil.rmtree(self._folder(model), ignore_errors=True)
            with self._changed:
                model.loaded_in = None
                if delete:
                    model.size_bytes = None
            self._finish(model, work)

    def _free_disk(self, client: HttpClient) -> bool:
        """Delete the files of a model that no request needs; whether there was one."""
        with self._changed:
            target = to_delete(self._held())
            if target is None:
                return False
            model = self._models[target]
            work = model.work = _Work(time.monotonic() + UNLOAD_S)
        self._unload(model, work, client, delete=True)
        return True

    def _folder(self, model: _Model) -> Path:
        return self._base_dir / FOLDER / model.name

    def _ask(self, client: HttpClient, method: str, path: str, due_s: float, body: bytes | None = None) -> Reply:
        """ModelError when there is no answer."""
        headers = {"Content-Type": "application/json"} if body else {}
        timeout_s = max(0.0, due_s - time.monotonic())
        try:
            return client.request(
                method, path, body=body, headers=headers, timeout_s=timeout_s, max_bytes=MAX_REPLY_BYTES
            )
        except NotReached:
            raise
        except TimeoutError as error:
            raise self._too_late() from error
        except (OSError, HTTPException, TooLarge) as error:
            sentence = f"The container gave no answer to {method} /models: {type(error).__name__}."
            raise model_error(self._scope, self._log_group, NO_STATUS, sentence.encode()) from error

    def _too_late(self) -> ApiError:
        sentence = f"The model was not loaded within {self._load_s:.0f} s."
        return model_error(self._scope, self._log_group, NO_STATUS, sentence.encode())
