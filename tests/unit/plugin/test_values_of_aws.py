"""The numbers, names and sentences of AWS that the code holds as constants, as AWS's documents have them.

Other tests use the constants, so that they would not notice a wrong one; this one holds the values themselves. Values
of our own (ours) are not here.
"""

from typing import Any

import pytest

from stagemaker.api import body_limits, listing, search_expression, tags
from stagemaker.hosting import (
    async_config,
    async_request,
    calls,
    instance,
    layout,
    metrics_config,
    model_cache,
    model_data,
    models,
    response_stream,
    rollout,
    serverless,
    targets,
    traffic_shift,
    variant_status,
)
from stagemaker.hosting.health import HealthTimes
from stagemaker.jobs import follow, kind, recordio
from stagemaker.notebooks import addresses, boot
from stagemaker.processing import transfers
from stagemaker.scaling import actions, activities, paging, policies, steps, tracking
from stagemaker.scaling import targets as scalable_targets
from stagemaker.training import config_files
from stagemaker.training import plan as training_plan
from stagemaker.transform import filters, plan, run
from stagemaker.tuning import completion, hyperband, objective, refusals, warm_start

MINUTE_S, DAY_S = 60, 86_400
MB, GB = 1 << 20, 1 << 30

JOBS: list[tuple[Any, Any]] = [
    (follow.STOP_GRACE_S, 120),
    (kind.FAILURE_CHARS, 1024),
    (training_plan.DEFAULT_RUNTIME_S, DAY_S),
    (training_plan.MAX_RUNTIME_S, 28 * DAY_S),
    (config_files.CHECKPOINTS, "/opt/ml/checkpoints"),
    (config_files.TENSORBOARD, "/opt/ml/output/tensorboard"),
    (recordio.MAGIC, 0xCED7230A),
    (transfers.MESSAGE_BYTES, 1024),
    (plan.MAX_PAYLOAD_MB, 100),
    (plan.DEFAULT_PAYLOAD_MB, 6),
    (plan.DEFAULT_CONCURRENCY, 1),
    (plan.DEFAULT_TIMEOUT_S, 600),
    (plan.DEFAULT_RETRIES, 3),
    (filters.TYPES, ("text/csv", "application/json", "application/jsonlines")),
    (run.SEE_LOGS, "AlgorithmError: See job logs for more information"),
    (
        run.NO_PING,
        "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
        "responds with an HTTP 200 status code",
    ),
    (completion.ATTEMPTS, 5),
    (hyperband.LARGEST_MAX_RESOURCE, 20_000),
    (hyperband.MAX_RESOURCE_NAMES, ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")),
    (objective.SIGNIFICANT, 0.01),
    (refusals.MAX_JOBS, 750),
    (refusals.MAX_PARALLEL, 10),
    (refusals.MAX_TUNING_JOBS, 100),
    (refusals.MAX_RANGES, 30),
    (refusals.MAX_METRICS, 20),
    (refusals.MAX_HYPERPARAMETERS, 100),
    (refusals.MAX_ENVIRONMENT, 48),
    (refusals.OBJECTIVE_NAME, "_tuning_objective_metric"),
    (warm_start.MAX_CHANGES, 10),
    (warm_start.MAX_JOBS, 500),
]
HOSTING: list[tuple[Any, Any]] = [
    (HealthTimes().answer_s, 2),
    (HealthTimes().request_s, 60),
    (calls.TIMEOUT_S, 60),
    (calls.MAX_BODY_BYTES, 6_291_456),
    (layout.HEALTH_TIMEOUT_S, 4 * MINUTE_S),
    (instance.GRACE_S, 30),
    (targets.DEFAULT_WEIGHT, 1.0),
    (traffic_shift.MAX_REASON_CHARS, 1024),
    (variant_status.MAX_MESSAGE_CHARS, 1024),
    (models.DOCKER_MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"),
    (model_data.CONTAINER, "container_1"),
    (model_cache.LOAD_S, 360),
    (metrics_config.EVERY_S, (10, 30, 60, 120, 180, 240, 300)),
    (rollout.CANARY_PERCENT, (1, 50)),
    (rollout.LINEAR_PERCENT, (10, 50)),
    (rollout.ROLLING_PERCENT, (5, 50)),
    (rollout.ROLLBACK_PERCENT, (1, 100)),
    (response_stream.TIMEOUT_S, 8 * MINUTE_S),
    (async_config.SUCCESS, "SUCCESS_NOTIFICATION_TOPIC"),
    (async_config.ERROR, "ERROR_NOTIFICATION_TOPIC"),
    (async_request.MAX_BODY_BYTES, 128_000),
    (async_request.MAX_PAYLOAD_BYTES, GB),
    (async_request.MAX_TOLD_BYTES, 128 << 10),
    (async_request.TTL_S, 6 * 60 * MINUTE_S),
    (async_request.TIMEOUT_S, 15 * MINUTE_S),
    (serverless.MEMORY_STEP_MB, 1024),
    (serverless.HEALTH_TIMEOUT_S, 3 * MINUTE_S),
    (serverless.DISK_BYTES, 5 * GB),
    (serverless.MAX_BODY_BYTES, 4 * MB),
    (serverless.MAX_ENDPOINTS, 50),
    (serverless.MAX_ACCOUNT_CONCURRENCY, 1000),
    (serverless.MAX_ACCOUNT_CONCURRENCY_ELSEWHERE, 500),
    (
        sorted(serverless.LARGE_REGIONS),
        [
            *("ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-1"),
            *("us-east-1", "us-east-2", "us-west-2"),
        ],
    ),
]
SCALING: list[tuple[Any, Any]] = [
    (tracking.HIGH_PERIODS, 3),
    (tracking.LOW_PERIODS, 15),
    (tracking.LOW_TENTHS, 9),
    (tracking.HIGH_RESOLUTION_S, 10),
    (steps.COOLDOWN_S, 300),
    (steps.MAX_STEPS, 20),
    (scalable_targets.MAX_TARGETS, 500),
    (policies.MAX_POLICIES, 50),
    (policies.MAX_CONFIG_BYTES, 50 << 10),
    (actions.MAX_ACTIONS, 200),
    (activities.KEPT_S, 42 * DAY_S),
    (paging.MAX_PAGE, 50),
]
OTHERS: list[tuple[Any, Any]] = [
    (body_limits.INVOCATION_BYTES, 6_291_456),
    (body_limits.ASYNC_BYTES, 128_000),
    (body_limits.CODE_BYTES, 70_167_211),
    (body_limits.OBJECT_BYTES, 5 * GB),
    (listing.DEFAULT_PAGE, 10),
    (tags.MAX_TAGS, 50),
    (search_expression.MOST_CONDITIONS, 50),
    (search_expression.CONTAINS_ONCE, "'CONTAINS' operator usage limit of 1 exceeded."),
    (addresses.VALID_S, 5 * MINUTE_S),
    (addresses.SESSION_S, 12 * 60 * MINUTE_S),
    (boot.HOOKS, ("OnCreate", "OnStart")),
    (boot.VOLUME, "/home/ec2-user/SageMaker"),
    (boot.LIMIT_S, 5 * MINUTE_S),
]


@pytest.mark.parametrize("values", [JOBS, HOSTING, SCALING, OTHERS], ids=["jobs", "hosting", "scaling", "others"])
def test_the_code_holds_the_values_of_awss_documents(values: list[tuple[Any, Any]]) -> None:
    assert [ours for ours, _ in values] == [aws for _, aws in values]
