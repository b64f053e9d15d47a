"""CreateTransformJob's request -> which objects, how they are cut, asked and put together. Pure: nothing happens here.

AWS source: "Use Batch Transform" and the pages below it in the developer guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Ref
from stagemaker.jobs.cluster import MAX_HOSTS
from stagemaker.jobs.sources import Source, s3_uri
from stagemaker.transform.filters import TYPES, Filters
from stagemaker.transform.paths import WHOLE, BadPath, Path, parse

MAX_PAYLOAD_MB = 100  # AWS's, also of all the requests that one instance has at once
DEFAULT_PAYLOAD_MB, DEFAULT_CONCURRENCY = 6, 1  # AWS's, where neither the request nor the container says
DEFAULT_STRATEGY = "MultiRecord"  # (ours) the same; our sources do not say which
DEFAULT_TIMEOUT_S, DEFAULT_RETRIES = 600, 3  # AWS's


@dataclass(frozen=True)
class Batching:
    """How much is asked at once. None: the container may say, else the default."""

    concurrency: int | None
    payload_mb: int | None
    strategy: str | None


@dataclass(frozen=True)
class TransformPlan:
    """`split_kind` and `joins_lines` are SplitType and AssembleWith; `filters` None: nothing is selected or joined."""

    name: str
    model: str
    instance_type: str
    instances: int
    environment: Mapping[str, str]  # over the model's
    source: Source
    is_gzipped: bool
    content_type: str
    accept: str
    split_kind: str
    joins_lines: bool
    output_uri: str
    batching: Batching
    filters: Filters | None
    timeout_s: int
    retries: int

    def output_of(self, key: str, prefix_uri: str) -> str:
        """Where the answers to the object of that key go: below the output as the key is below the folder of the
        prefix, which is the source's or its manifest's."""
        prefix = prefix_uri.partition("://")[2].partition("/")[2]
        folder = prefix if prefix.endswith("/") or key.startswith(f"{prefix}/") else prefix[: prefix.rfind("/") + 1]
        return f"{self.output_uri}/{key[len(folder) :].lstrip('/')}.out"


def transform_plan(ref: Ref, request: Mapping[str, Any]) -> TransformPlan:
    """Raises ValidationException for what AWS would not take; call `refuse_unsupported` before."""
    source, target, resources = request["TransformInput"], request["TransformOutput"], request["TransformResources"]
    if resources["InstanceCount"] > MAX_HOSTS:
        sentence = f"A transform job runs at most {MAX_HOSTS} instances on one machine; "
        raise ApiError("ResourceLimitExceeded", f"{sentence}{resources['InstanceCount']} are asked for.")
    uri, output_uri = source["DataSource"]["S3DataSource"]["S3Uri"], target["S3OutputPath"]
    s3_uri(uri), s3_uri(output_uri)
    client, split_kind = request.get("ModelClientConfig", {}), source.get("SplitType", "None")
    return TransformPlan(
        name=ref.name,
        model=request["ModelName"],
        instance_type=resources["InstanceType"],
        instances=resources["InstanceCount"],
        environment={**request.get("Environment", {}), **_own_environment(request)},
        source=Source(uri, data_type=source["DataSource"]["S3DataSource"]["S3DataType"]),
        is_gzipped=source.get("CompressionType") == "Gzip",
        content_type=source.get("ContentType", ""),
        accept=target.get("Accept", ""),
        split_kind=split_kind,
        joins_lines=target.get("AssembleWith") == "Line",
        output_uri=output_uri.rstrip("/"),
        batching=_batching(request, split_kind),
        filters=_filters(request),
        timeout_s=client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_S),
        retries=client.get("InvocationsMaxRetries", DEFAULT_RETRIES),
    )


def _own_environment(request: Mapping[str, Any]) -> dict[str, str]:
    """What the service tells the container; the last three only if the request said them."""
    said = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": request.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}.get(
            request.get("BatchStrategy", "")
        ),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": request.get("MaxConcurrentTransforms"),
    }
    return {"SAGEMAKER_BATCH": "true", **{name: str(value) for name, value in said.items() if value is not None}}


def _batching(request: Mapping[str, Any], split_kind: str) -> Batching:
    concurrency, payload_mb = request.get("MaxConcurrentTransforms"), request.get("MaxPayloadInMB")
    product = (concurrency or DEFAULT_CONCURRENCY) * (payload_mb or DEFAULT_PAYLOAD_MB)
    if product > MAX_PAYLOAD_MB:
        raise validation_error(
            f"MaxConcurrentTransforms times MaxPayloadInMB must be at most {MAX_PAYLOAD_MB}; it is {product}."
        )
    if request.get("BatchStrategy") == "MultiRecord" and split_kind == "None":
        raise validation_error("BatchStrategy MultiRecord needs a SplitType other than None.")
    return Batching(concurrency or None, payload_mb, request.get("BatchStrategy"))


def _filters(request: Mapping[str, Any]) -> Filters | None:
    given = request.get("DataProcessing", {})
    joins = given.get("JoinSource") == "Input"
    paths = _path("InputFilter", given), _path("OutputFilter", given)
    if not joins and all(path.text == WHOLE for path in paths):
        return None
    source, target = request["TransformInput"], request["TransformOutput"]
    content_type = source.get("ContentType", "")
    if content_type not in TYPES:
        raise validation_error(f"DataProcessing needs a ContentType of {', '.join(TYPES)}; it is '{content_type}'.")
    if joins and target.get("Accept", content_type) != content_type:
        raise validation_error("JoinSource Input needs Accept to be ContentType.")
    if joins and source.get("SplitType", "None") != target.get("AssembleWith", "None"):
        raise validation_error("JoinSource Input needs SplitType to be AssembleWith.")
    if content_type == "text/csv" and not all(path.only_positions for path in paths):
        raise validation_error("A filter of text/csv selects by position only, such as $[0] or $[1:].")
    return Filters(content_type, *paths, joins)


def _path(name: str, given: Mapping[str, Any]) -> Path:
    try:
        return parse(given.get(name, WHOLE))
    except BadPath as error:
        raise validation_error(f"DataProcessing.{name}: {error}.") from error
