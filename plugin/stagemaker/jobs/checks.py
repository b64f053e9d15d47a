"""What is looked up in the machine and the caller's account before a job is taken."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ACCESS_DENIED, ApiError, hinted, validation_error
from stagemaker.core.refs import Kind, Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.runtime.contract import Runtime


class JobAccount(Protocol):
    """The part of `aws.account.Account` that jobs need."""

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]: ...
    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials: ...
    def under(self, role_arn: str, subnet: str = "") -> "JobAccount": ...
    def check_pull(self, image: str) -> None: ...
    def bucket_region(self, scope: Scope, uri: str) -> str | None: ...
    def prefix_has_objects(self, scope: Scope, uri: str) -> bool: ...
    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int: ...
    def list_prefix(self, scope: Scope, uri: str) -> list[tuple[str, int]]: ...
    def download_file(
        self, scope: Scope, uri: str, path: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None: ...
    def download_keys(
        self, scope: Scope, uri: str, keys: Sequence[str], folder: Path, cancelled: Callable[[], bool] = lambda: False
    ) -> list[str]: ...
    def open_object(self, scope: Scope, uri: str) -> tuple[int, Generator[bytes]]: ...
    def upload_file(self, scope: Scope, path: Path, uri: str) -> None: ...
    def delete_object(self, scope: Scope, uri: str) -> None: ...


class Checks:
    """Of one job. All methods raise ApiError in AWS's words. `credentials` are those of the role `role_arn`, once it
    was checked: the environment of the job's containers, which are in `subnet`. `pinned` has the names with a digest
    of the checked images."""

    def __init__(self, ref: Ref, runtime: Runtime, account: JobAccount, store: Store) -> None:
        self._ref, self._scope, self._runtime, self._account, self._store = ref, ref.scope, runtime, account, store
        self.role_arn, self.subnet, self._image = "", "", ""
        self.credentials: Mapping[str, str] = {}
        self.pinned: dict[str, str] = {}

    def image(self, image: str, entrypoint: tuple[str, ...] | None, command: tuple[str, ...]) -> None:
        """The runtime can run it. All hosts and attempts of the job run what the name means now."""
        self._runtime.check_image(image, entrypoint, command)
        self._image = image
        if (pinned := self._runtime.pin(image)) != image:
            self.pinned[image] = pinned

    def hardware(self, instance_type: str, hosts: int) -> None:
        """The runtime can give so many hosts of this type."""
        self._runtime.check_hardware(instance_type, hosts)

    def mounts(self, targets: Iterable[str]) -> None:
        """The runtime can show folders at these paths of a container."""
        self._runtime.check_mounts(targets)

    def isolation(self) -> None:
        """The runtime can keep containers from the network."""
        self._runtime.check_isolation()

    def role(self, role_arn: str, subnet: str) -> None:
        """It exists, trusts SageMaker, and may pull the image. What is done under it is done in the subnet."""
        self.subnet = subnet
        self.credentials = self._account.role_environment(self._scope, role_arn, self._ref.arn, subnet)
        self.role_arn = role_arn
        try:
            self._account.under(role_arn, subnet).check_pull(self._image)
        except ApiError as error:
            if error.code != ACCESS_DENIED:
                raise
            host, _, name = self._image.partition("/")
            sentence = (
                f"Access denied for repository: {name.partition('@')[0].partition(':')[0]} in registry ID: "
                f'{host.partition(".")[0]}. Please check that role "{role_arn}" has proper pull permissions for '
                "SageMaker: ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
            )
            raise validation_error(hinted(sentence, error.message)) from error

    def record(self, kind: Kind, name: str) -> Record:
        """That of the model, or of another thing that the job is made of, of this name."""
        ref = Ref(self._scope, kind, name)
        record = self._store.get(ref)
        if record is None:
            raise validation_error(f'Could not find {kind.words} "{ref.arn}".')
        return record

    def input(self, uri: str, role_arn: str) -> None:
        """There are objects under the prefix, in a bucket of this region, and the role may list them."""
        why, there = "", self._account.bucket_region(self._scope, uri) == self._scope.region
        if there:
            try:
                there = self._account.under(role_arn, self.subnet).prefix_has_objects(self._scope, uri)
            except ApiError as error:
                if error.code != ACCESS_DENIED:
                    raise
                why, there = error.message, False
        if not there:
            sentence = (
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
                f"exists in the selected region ({self._scope.region}), that objects exist under that S3 prefix, and "
                f'that the role "{role_arn}" has "s3:ListBucket" permissions on bucket "{uri.split("/")[2]}".'
            )
            raise validation_error(hinted(sentence, why) if why else sentence)

    def output(self, uri: str) -> None:
        """The bucket is there (ours: else a long job is lost at its end)."""
        if self._account.bucket_region(self._scope, uri) != self._scope.region:
            bucket, region = uri.split("/")[2], self._scope.region
            raise validation_error(f'There is no bucket "{bucket}" in the region {region}: create it first.')
