"""The import rules of docs/architecture.md, read from the syntax trees: no code is run."""

import ast
import sys

import pytest

from tests.unit.sources import ROOT, imports, sources

OURS = ("ml", "containers", "infra", "stagemaker")
STAGE = ROOT / "plugin" / "stagemaker"
# A pure module decides; reading a clock, a file, a socket or dice is somebody else's work.
IMPURE = {
    "asyncio", "http", "io", "multiprocessing", "os", "random", "secrets", "shutil", "signal", "socket",
    "ssl", "subprocess", "tarfile", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


@pytest.mark.parametrize(
    ("folder", "forbidden", "allowed"),
    [
        ("ml", OURS, ("ml",)),
        ("containers/trainer", OURS, ("ml",)),
        ("containers/serve", OURS, ("containers.serve", "ml")),
        ("containers/lambda", OURS, ()),
        ("containers/ec2-host", OURS, ()),
        ("infra", (*OURS, "torch", "localstack"), ("infra", "ml.config", "ml.photos")),
        (
            "benchmarks",
            (*OURS, "localstack"),
            ("infra", "stagemaker.access", "stagemaker.core", "stagemaker.scaling", "stagemaker.tuning"),
        ),
        ("plugin", OURS, ("stagemaker",)),
    ],
)
def test_a_part_imports_only_the_parts_below_it(
    folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...]
) -> None:
    files = sources(folder)
    assert files
    for path in files:
        wrong = [name for name in imports(path) if within(name, *forbidden) and not within(name, *allowed)]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_serving_container_imports_of_ml_what_needs_no_torch() -> None:
    """But for one file, which the gpu image alone loads."""
    for path in sources("containers/serve"):
        if path.name == "cuda.py":
            continue
        allowed = ("ml.preprocess", "ml.resize", "ml.photos", "ml.artifact", "ml.memory", "ml.openvino_core")
        wrong = [n for n in imports(path) if n.startswith("ml.") and not within(n, *allowed)]
        wrong += [n for n in imports(path) if within(n, "torch", "torchvision", "timm", "safetensors")]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_what_a_photo_is_can_be_said_without_torch() -> None:
    """Infra's environment and the serving image have no torch."""
    packages = {name.split(".")[0] for name in imports(ROOT / "ml" / "photos.py")}
    assert packages - sys.stdlib_module_names == {"numpy", "PIL", "simplejpeg"}


@pytest.mark.parametrize(
    ("package", "importers"),
    [("localstack", "adapters/"), ("moto", "adapters/"), ("boto3", "aws/"), ("docker", "runtime/docker/engine.py")],
)
def test_only_one_place_of_the_plugin_knows_a_package(package: str, importers: str) -> None:
    found = {
        path.relative_to(STAGE).as_posix()
        for path in sources("plugin/stagemaker")
        if any(within(name, package) for name in imports(path))
    }
    assert [name for name in found if not name.startswith(importers)] == []


# Each part of the plugin, and the parts that it may import; itself always. A part is a folder or a module.
DIRECTIONS = {
    "core": (),
    "settings": (),
    "access": ("core",),
    "aws": ("core", "access"),
    "runtime": ("core", "settings"),
    "api": ("core",),
    "jobs": ("core", "api", "runtime"),
    "training": ("core", "api", "runtime", "jobs"),
    "tuning": ("core", "api", "runtime", "jobs"),
    "processing": ("core", "api", "runtime", "jobs"),
    "hosting": ("core", "api", "runtime"),
    "transform": ("core", "api", "runtime", "jobs", "hosting"),
    "notebooks": ("core", "api", "runtime"),
    "ec2": ("core", "runtime"),
    "scaling": ("core", "api"),
    "functions": ("core", "access", "api", "runtime", "settings"),
    "registry": ("core", "access", "api", "runtime", "settings"),
    "app": (
        "core",
        "api",
        "aws",
        "runtime",
        "jobs",
        "training",
        "tuning",
        "processing",
        "transform",
        "hosting",
        "notebooks",
        "ec2",
        "registry",
        "scaling",
        "settings",
    ),
    "adapters": ("core", "access", "api", "aws", "runtime", "ec2", "functions", "registry", "app", "settings"),
}


def test_every_part_of_the_plugin_has_a_direction() -> None:
    parts = {path.relative_to(STAGE).parts[0].removesuffix(".py") for path in sources("plugin/stagemaker")}
    assert parts - {"__init__"} == DIRECTIONS.keys()


@pytest.mark.parametrize(("part", "below"), DIRECTIONS.items())
def test_the_plugin_s_parts_import_downwards(part: str, below: tuple[str, ...]) -> None:
    allowed = [f"stagemaker.{name}" for name in (part, *below)]
    for path in sources("plugin/stagemaker"):
        if path.relative_to(STAGE).parts[0].removesuffix(".py") != part:
            continue
        wrong = [name for name in imports(path) if within(name, "stagemaker") and not within(name, *allowed)]
        assert [name for name in wrong if name != "stagemaker"] == [], path.relative_to(ROOT)


def test_only_the_supervisor_starts_threads() -> None:
    for path in sources("plugin/stagemaker"):
        if path.relative_to(STAGE).as_posix() == "core/supervisor.py":
            continue
        made = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        assert not [node for node in made if ast.unparse(node) == "threading.Thread"], path.relative_to(ROOT)
        assert "threading.Thread" not in set(imports(path)), path.relative_to(ROOT)


# What only decides: it imports none of IMPURE. A new module of this sort gets a line.
PURE = [
    "ec2/amis.py", "ec2/metadata.py", "ec2/states.py", "runtime/docker/ec2_config.py",
    "hosting/metrics_config.py", "runtime/docker/stats.py",
    "runtime/docker/relay.py",
    "hosting/serverless.py", "hosting/serverless_metrics.py",
    "access/least_policy.py", "access/policy_report.py",
    "access/bodies.py", "access/callers.py", "access/faults.py", "access/keys.py", "access/post_form.py",
    "access/signature.py", "access/signature_v2.py",
    "access/call.py", "access/condition_keys.py", "access/denial.py", "access/dependents.py", "access/enforce.py",
    "access/questions.py", "access/resources.py",
    "access/conditions.py", "access/evaluate.py", "access/match.py", "access/policy.py", "access/positions.py",
    "access/request.py", "access/simulate.py", "api/body_limits.py", "api/callers.py", "api/event_stream.py",
    "api/events.py", "api/http_head.py", "api/listing.py", "api/moto.py", "api/search_expression.py",
    "api/search_members.py", "api/serialization.py", "api/unsupported.py", "api/validation.py", "aws/log_stream.py",
    "core/credentials.py", "core/errors.py", "core/kinds.py", "core/numbers.py", "core/patterns.py", "core/refs.py",
    "core/strict_json.py", "core/text.py", "core/vpc.py", "functions/cors.py", "functions/image_rules.py",
    "functions/invoke_rules.py",
    "functions/metrics.py", "functions/url_access.py", "functions/url_event.py", "hosting/async_config.py",
    "hosting/async_queue.py", "hosting/async_request.py", "hosting/calls.py", "hosting/capture.py", "hosting/health.py",
    "hosting/layout.py", "hosting/locations.py", "hosting/model_error.py", "hosting/multi_container.py",
    "hosting/multi_model.py",
    "hosting/rollout.py", "hosting/targets.py", "hosting/variant_status.py",
    "jobs/cluster.py", "jobs/failures.py", "jobs/kind.py",
    "jobs/manifests.py", "jobs/recordio.py", "jobs/sources.py", "jobs/statuses.py", "notebooks/addresses.py",
    "notebooks/boot.py", "notebooks/requests.py", "notebooks/statuses.py", "processing/plan.py",
    "processing/statuses.py", "processing/unsupported.py", "registry/lifecycle_plan.py", "registry/manifest_plan.py",
    "runtime/docker/subnets.py", "runtime/variables.py", "scaling/alarm_rules.py", "scaling/compression.py",
    "scaling/cron.py", "scaling/decision.py", "scaling/metrics.py", "scaling/paging.py", "scaling/resources.py",
    "scaling/schedules.py", "scaling/simulate.py", "scaling/steps.py", "scaling/tracking.py", "training/channels.py",
    "training/config_files.py", "training/instance_groups.py", "training/interruption.py", "training/metrics.py",
    "training/plan.py", "training/spot.py", "training/statuses.py", "training/unsupported.py", "transform/paths.py",
    "transform/plan.py", "transform/statuses.py", "transform/unsupported.py", "tuning/children.py",
    "tuning/completion.py", "tuning/counters.py", "tuning/early_stopping.py", "tuning/grid.py", "tuning/hyperband.py",
    "tuning/objective.py", "tuning/plan.py", "tuning/ranges.py", "tuning/refusals.py", "tuning/statuses.py",
    "tuning/warm_start.py",
]  # fmt: skip


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reads_no_clock_file_or_thread(name: str) -> None:
    wrong = [found for found in imports(STAGE / name) if found.split(".")[0] in IMPURE]
    assert not wrong
