"""Where the features of a job come from: the channel `features`, its checkpoints, or its own work."""

import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from ml import feature_cache, photo_list
from ml.artifact import ONNX_FILE
from ml.config import Config
from ml.context import Context, Paths
from ml.data import DataError, Dataset
from ml.export import write_graph
from ml.feature_cache import Cached
from ml.features import Features, compute
from ml.learners import sample
from ml.model import Classifier
from ml.photo_list import ARCHIVE, CHANNEL, FILE
from ml.photos import Verdicts

_SAMPLES = 4  # pictures of the data on which the ONNX model is compared with the network


class FeatureStore:
    """Finds or computes the features of one job, and keeps what was computed.

    `graph` is the classifier as an ONNX file, once something has needed it: the export then replaces its head."""

    def __init__(self, config: Config, dataset: Dataset, paths: Paths, model: Classifier, scratch: Path) -> None:
        self._config, self._dataset, self._paths, self._model = config, dataset, paths, model
        self._scratch = scratch / ONNX_FILE
        self._cached: Cached | None = None
        self._identity: dict[str, str] = {}
        self.graph: Path | None = None

    def find(self, say: Callable[[str], None]) -> Cached | None:
        """What is there already. Says from where it is, and of a file that is not used, why. Raises DataError when
        there is nothing, and no photo to compute it from."""
        found = self._find(say) if self._config.fine_tune == "head" else None
        if found is None and not self._dataset.has_photos:
            raise DataError("Channel 'train' is missing, and features cannot be used instead: the log says why.")
        return found

    def samples(self, context: Context) -> Tensor:
        """At most _SAMPLES validation images, float32 (n, 3, S, S)."""
        return sample(context, _SAMPLES) if self._dataset.has_photos or not self._cached else self._cached.samples

    def _find(self, say: Callable[[str], None]) -> Cached | None:
        self._identity = feature_cache.identity(self._config, self._dataset, self._model)
        for folder in (self._unpacked(self._paths.data / CHANNEL, say), self._paths.checkpoints):
            found = feature_cache.load(folder, self._identity, self._dataset, self._config.feature_engine)
            if isinstance(found, Cached):
                say(f"features from={folder.name}/{FILE} engine={found.features.engine}")
                self._cached, self.graph = found, found.graph
                return found
            if found:
                say(found)
        return None

    def _unpacked(self, channel: Path, say: Callable[[str], None]) -> Path:
        """The channel's folder, or if it holds another job's model.tar.gz, a folder with the files of that."""
        archive = channel / ARCHIVE
        if not archive.is_file():
            return channel
        folder = self._scratch.parent / CHANNEL
        folder.mkdir()
        try:
            with tarfile.open(archive) as files:
                for member in files:
                    name = photo_list.member_name(member)
                    content = files.extractfile(member) if name in (FILE, ONNX_FILE) else None
                    if content is not None:
                        with (folder / name).open("wb") as copy:
                            shutil.copyfileobj(content, copy)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            say(f"{CHANNEL}/{ARCHIVE} is not used: {error}")
            return channel
        if not (folder / FILE).is_file():
            say(f"{CHANNEL}/{ARCHIVE} is not used: it has no {FILE}.")
        return folder

    def features(self, context: Context, verdicts: Verdicts) -> Features:
        """Those that all ranks have already, or else what they compute now, which the first rank keeps with the
        checkpoints, or with `features_only` as the job's model. Raises Stopped."""
        lacks = context.ranks.any(self._cached is None)
        features = (
            compute(self._model, context, self._written_graph) if lacks or not self._cached else self._cached.features
        )
        context.ranks.require_equal({"features": feature_cache.digest(features)})
        only = context.config.features_only
        if context.ranks.first and (lacks or only):
            folder = self._paths.model if only else self._paths.checkpoints
            found = Cached(features, verdicts, self.samples(context), self.graph if only else None)
            feature_cache.save(folder, found, self._dataset, self._identity)
        return features

    def _written_graph(self) -> Path:
        if self.graph is None:
            write_graph(self._model, self._config.image_size, self._scratch)
            self.graph = self._scratch
        return self.graph
