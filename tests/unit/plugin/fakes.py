"""S3 and CloudWatch as plain dictionaries, and a clock that stands still, for tests of what stands on them."""

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Self

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import RoleRefused, access_denied, validation_error
from stagemaker.core.refs import Scope

SCOPE = Scope("123456789012", "eu-west-1")
ROLE = "arn:aws:iam::123456789012:role/stage"


class FakeClock:
    """Epoch seconds that move only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeAws:
    """As `aws.Aws`: `objects` is S3, by URI; the role ROLE exists and no other."""

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})
        self.no_pull = ""  # the image that no role may pull
        self.roles: list[str] = []  # whose rights were asked for
        self.subnets: set[str] = set()  # in which rights and credentials were asked for
        self.downloaded: list[str] = []  # prefixes and objects, once for each time
        self.alarms: dict[str, str] = {}  # the state of each, by name
        self.alarms_asked = 0
        self.fail_uploads = ""  # the sentence that uploads fail with
        self.refused = ""  # the URI of an object that is not taken
        self.downloading = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def under(self, role_arn: str, subnet: str = "") -> Self:
        self.roles.append(role_arn)
        self.subnets.add(subnet)
        return self

    def check_pull(self, image: str) -> None:
        if image == self.no_pull:
            raise access_denied("User: stage is not authorized to perform: ecr:BatchGetImage")

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]:
        if role_arn != ROLE:
            raise RoleRefused(role_arn)
        self.subnets.add(subnet)
        return {"AWS_ACCESS_KEY_ID": "LSIAROLE", "AWS_REGION": scope.region}

    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials:
        self.subnets.add(subnet)
        return Credentials(role_arn, "LSIAFRESH", "secret", "token", 1_800_003_600.0)

    def list_prefix(self, scope: Scope, uri: str) -> list[tuple[str, int]]:
        self.downloading.set()
        self.go_on.wait(30)
        return self._below(uri)

    def _below(self, uri: str) -> list[tuple[str, int]]:
        bucket = uri.split("/")[2]
        found = [name for name in self.objects if name.startswith(uri)]
        return [(name.removeprefix(f"s3://{bucket}/"), len(self.objects[name])) for name in found]

    def prefix_has_objects(self, scope: Scope, uri: str) -> bool:
        return bool(self._below(uri))

    def bucket_region(self, scope: Scope, uri: str) -> str | None:
        there = any(name.split("/")[2] == uri.split("/")[2] for name in self.objects)
        return SCOPE.region if there else None

    def object_exists(self, scope: Scope, uri: str) -> bool:
        return uri in self.objects

    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int:
        return len(self.download_keys(scope, uri, [key for key, _ in self.list_prefix(scope, uri)], folder, cancelled))

    def download_keys(
        self, scope: Scope, uri: str, keys: Sequence[str], folder: Path, cancelled: Callable[[], bool] = lambda: False
    ) -> list[str]:
        self.downloaded.append(uri)
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        names = {key: key.removeprefix(prefix).strip("/") or key.rpartition("/")[2] for key in keys}
        for key, name in names.items():
            _, chunks = self.open_object(scope, f"s3://{bucket}/{key}")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(chunks))
        return [names[key] for key in keys]

    def open_object(self, scope: Scope, uri: str) -> tuple[int, Generator[bytes]]:
        if uri not in self.objects:
            raise validation_error(f"S3 key: {uri} could not be read: The specified key does not exist.")
        data = self.objects[uri]
        return len(data), (chunk for chunk in (data[:2], data[2:]) if chunk)

    def download_file(
        self, scope: Scope, uri: str, path: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        if uri not in self.objects:
            raise validation_error(f"Could not download {uri}: The specified key does not exist.")
        path.write_bytes(self.objects[uri])

    def upload_file(self, scope: Scope, path: Path, uri: str) -> None:
        if self.fail_uploads:
            raise validation_error(self.fail_uploads)
        if uri == self.refused:
            raise validation_error(f"Could not upload to {uri}: Access Denied")
        self.objects[uri] = path.read_bytes()

    def put_object(self, scope: Scope, uri: str, body: bytes) -> None:
        if self.fail_uploads:
            raise validation_error(self.fail_uploads)
        self.objects[uri] = body

    def alarm_states(self, scope: Scope, names: Sequence[str]) -> dict[str, str]:
        self.alarms_asked += 1
        return {name: self.alarms[name] for name in names if name in self.alarms}

    def delete_object(self, scope: Scope, uri: str) -> None:
        if self.fail_uploads:
            raise validation_error(self.fail_uploads)
        self.objects.pop(uri, None)


class FakeLogs:
    """As `logs.Logs`: what was written, by group and stream, and the values of each metric, by name."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.values: dict[str, list[float]] = defaultdict(list)
        self.dimensions: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, tuple[str, str]] = {}  # the namespace and the unit of each metric
        self.points: dict[str, list[tuple[float, dict[str, str]]]] = defaultdict(list)  # values with dimensions
        self.flushed = self.closed = False

    def under(self, role_arn: str) -> "FakeLogs":
        return self

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]:
        return self.lines[group, stream].append

    def metric(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        timestamp: float,
    ) -> None:
        self.values[name].append(value)
        self.dimensions[name] = dict(dimensions)
        self.kinds[name] = (namespace, unit)
        self.points[name].append((value, dict(dimensions)))

    def flush(self) -> None:
        self.flushed = True

    def close(self) -> None:
        self.closed = True
