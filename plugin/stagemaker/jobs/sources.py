"""What an input of a job is made of in S3, and which part of it a host gets. Pure.

AWS source: S3DataSource, ShuffleConfig and Channel of CreateTrainingJob; processing and transform have parts of it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stagemaker.core.errors import validation_error

PREFIX, MANIFEST, AUGMENTED_MANIFEST = "S3Prefix", "ManifestFile", "AugmentedManifestFile"
FILE, FAST_FILE, PIPE = "File", "FastFile", "Pipe"


@dataclass(frozen=True)
class Source:
    """`uri` names a prefix or a manifest, as `data_type` says. `attributes` are those that are read of an augmented
    manifest, `seed` is ShuffleConfig's. What is streamed is unpacked if `gzip`, and each object or attribute is a
    record of its own if `record_io`."""

    uri: str
    sharded: bool = False
    data_type: str = PREFIX
    attributes: tuple[str, ...] = ()
    seed: int | None = None
    gzip: bool = False
    record_io: bool = False

    def positions(self, count: int, host: int, hosts: int, epoch: int = 0) -> Sequence[int]:
        """Which of `count` objects or lines, counted in S3's or the manifest's order, one of `hosts` gets in an epoch,
        in the order in which it gets them.

        With a seed the order is another one in each epoch, and the same on every host: a shard so has other objects in
        the next epoch. AWS documents no permutation: this one is ours."""
        order: Sequence[int] = range(count)
        if self.seed is not None:
            begin = f"{self.seed} {epoch} "
            order = sorted(order, key=lambda position: hashlib.sha256(f"{begin}{position}".encode()).digest())
        return order[host::hosts] if self.sharded else order


def s3_uri(text: str) -> str:
    """The text itself; ValidationException unless it begins with s3:// and a bucket."""
    if not re.match(r"s3://[^/]+", text):
        raise validation_error(f"'{text}' must be an S3 URI of the form s3://bucket/prefix.")
    return text
