"""The models that a multi-model container has loaded, by name, and the memory that they take.

SageMaker loads a model before its first request, and makes room by unloading others when the answer is 507. Loading
goes on beside serving, in a thread of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from containers.serve.model import Model
from containers.serve.refused import Refused, quoted
from containers.serve.settings import MAX_LOADING, RETRY_AFTER_S
from ml.artifact import BadArtifact


@dataclass(frozen=True)
class Loader:
    """How a model is loaded from its folder (raises BadArtifact, MemoryError or OSError), and how much memory it will
    take (raises OSError)."""

    load: Callable[[Path], Model]
    memory_bytes: Callable[[Path], int]


@dataclass
class LoadedModel:
    """A model with the url that it was loaded from, and the number of requests that use it."""

    model: Model
    url: str
    memory_bytes: int
    uses: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class Models:
    """The models in folders below `root`, which together take at most `limit_bytes`. All calls come from one event
    loop."""

    def __init__(self, root: Path, limit_bytes: int, loader: Loader) -> None:
        self._root = root
        self._limit_bytes = limit_bytes
        self._loader = loader
        self._used_bytes = 0
        self._loaded: dict[str, LoadedModel] = {}
        self._loading: dict[str, asyncio.Event] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")

    async def load(self, name: str, url: str) -> None:
        """Loads the model in the folder `url`. Waits for another load of the same name. Raises Refused: 400 when there
        is no model that can be used, 409 when the name is loaded, 503 when too many loads wait, 507 without memory."""
        folder = self._folder(url)
        while name in self._loading:
            await self._loading[name].wait()
        if name in self._loaded:
            raise Refused(409, f"The model {quoted(name)} is loaded already.")
        if len(self._loading) >= MAX_LOADING:
            raise Refused(503, "Too many models are being loaded; try again.", RETRY_AFTER_S)
        self._loading[name] = ended = asyncio.Event()
        try:
            self._loaded[name] = await self._load(url, folder)
        finally:
            del self._loading[name]
            ended.set()

    @contextmanager
    def use(self, name: str) -> Iterator[Model]:
        """The model, which is not unloaded before the end of the block. Raises Refused 404."""
        found = self._find(name)
        found.uses += 1
        try:
            yield found.model
        finally:
            found.uses -= 1
            if not found.uses:
                found.unused.set()

    async def unload(self, name: str) -> None:
        """Forgets the model, and frees its memory when no request uses it any more. Raises Refused 404."""
        found = self._find(name)
        del self._loaded[name]
        if found.uses:
            found.unused.clear()
            await found.unused.wait()
        self._used_bytes -= found.memory_bytes

    def url(self, name: str) -> str:
        """The url that the model was loaded from. Raises Refused 404."""
        return self._find(name).url

    def urls(self) -> dict[str, str]:
        """The url of each model by name, sorted by name."""
        return {name: self._loaded[name].url for name in sorted(self._loaded)}

    def close(self) -> None:
        """Waits for the load that goes on, and ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _find(self, name: str) -> LoadedModel:
        if name not in self._loaded:
            raise Refused(404, f"The model {quoted(name)} is not loaded.")
        return self._loaded[name]

    def _folder(self, url: str) -> Path:
        """The folder without links and `..`. Raises Refused 400 when it is not below the root."""
        root = self._root.resolve()
        try:
            folder = Path(url).resolve() if url.startswith("/") else root
        except ValueError:  # a null byte
            folder = root
        if root not in folder.parents:
            raise Refused(400, f"The url {quoted(url)} is not a folder below {self._root}.")
        return folder

    async def _load(self, url: str, folder: Path) -> LoadedModel:
        try:
            memory_bytes = self._loader.memory_bytes(folder)
            free_bytes = self._limit_bytes - self._used_bytes
            if memory_bytes > free_bytes:
                raise Refused(507, f"The model takes {memory_bytes:,} bytes of memory, and {free_bytes:,} are free.")
            self._used_bytes += memory_bytes
            try:
                model = await asyncio.get_running_loop().run_in_executor(self._thread, self._loader.load, folder)
            except BaseException:
                self._used_bytes -= memory_bytes
                raise
        except BadArtifact as error:
            raise Refused(400, str(error)) from error
        except OSError as error:
            raise Refused(400, f"The model's files cannot be read: {error.strerror}.") from error
        except MemoryError as error:
            raise Refused(507, "There is not enough memory for the model.") from error
        return LoadedModel(model, url, memory_bytes)
