"""The blueprint of a deployment: from its settings, the name and the request of every resource, as AWS takes them.

Pure: nothing is asked and nothing is changed here.

A training job, a model and an endpoint configuration cannot be changed on AWS, so their names carry a fingerprint of
what they are made from: the same settings, data and images give the same names, and a second run finds everything done.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.data.layout import CHANNELS, SPLITS
from infra.encryption.requests import encrypted_job, has_own_disks
from infra.network.requests import Vpc, vpc_config
from infra.partitions import Partition, of_region
from infra.settings import METRICS, DeploymentSettings, ModelSettings, Ranges, ScalingSettings

VARIANT = "AllTraffic"
ALIAS = "live"
POLICY = "invocations"  # of the endpoint's scaling
INVOCATIONS_METRIC = "SageMakerVariantInvocationsPerInstance"
CHECKPOINTS = "checkpoints"  # begins the keys of those of jobs on spot instances
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
FEATURES = "features"  # the channel of the backbone's features, and what begins the keys of the jobs' that compute them
# The hyperparameters that features depend on. The trainer checks that its channel's are those that it needs.
_OF_FEATURES = frozenset(
    {"backbone", "weights", "image-size", "crop", "flip", "seed", "feature-engine", "max-unusable-share"}
)
PROJECT_TAG = "stagemaker:project"
URL_STATEMENTS = ("call-the-url", "by-the-url")  # of the policy that opens an address to anybody


@dataclass(frozen=True)
class Image:
    """What a job or an endpoint runs. `reference` is how AWS is told it. Two of the same `content` do the same work:
    no job is run anew for another commit's label on the same files."""

    reference: str
    content: str
    is_there: bool = True


@dataclass(frozen=True)
class Blueprint:
    """All names and requests of one deployment in one account. `data_digest` is the data set's SHA-256 in hex;
    `pretrained` whether starting weights are sent as a channel of that name. `images` are those of the account's
    registry, by their names; the others go by the name that they are built with on this machine. `vpc` is where jobs
    and endpoints run, None for SageMaker's own network. `key` is the ARN of the KMS key that encrypts the data, empty
    where AWS's own keys do, or while nobody has looked it up."""

    settings: DeploymentSettings
    account: str
    data_digest: str
    pretrained: bool = False
    images: Mapping[str, Image] = field(default_factory=dict)
    vpc: Vpc | None = None
    key: str = ""

    @property
    def bucket(self) -> str:
        return f"{self.settings.project}-{self.account}-{self.settings.region}"

    def endpoint(self, model: ModelSettings) -> str:
        return "-".join(part for part in (self.settings.project, model.name) if part)

    @property
    def called_endpoint(self) -> str:
        """The endpoint that the function calls."""
        return self.endpoint(self.settings.called_model)

    @property
    def function(self) -> str:
        return f"{self.settings.project}-proxy"

    @property
    def endpoints(self) -> list[str]:
        return [self.endpoint(model) for model in self.settings.models]

    @property
    def instance_types(self) -> set[str]:
        """Those of all jobs and endpoints."""
        models = self.settings.models
        return {name for one in models for name in (one.training.instance_type, one.endpoint.instance_type)}

    @property
    def function_logs(self) -> str:
        return f"/aws/lambda/{self.function}"

    @property
    def tags(self) -> list[dict[str, str]]:
        tags = {PROJECT_TAG: self.settings.project, **self.settings.tags}
        return [{"Key": key, "Value": value} for key, value in tags.items()]

    @property
    def partition(self) -> Partition:
        """That of the region."""
        return of_region(self.settings.region)

    def arn(self, service: str, resource: str) -> str:
        """`arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return self.partition.arn(service, resource, self.settings.region, self.account)

    @property
    def bucket_arn(self) -> str:
        return self.partition.arn("s3", self.bucket)

    def role(self, purpose: str) -> str:
        """The name of the role for `training`, `hosting` and so on: the keys of `roles.ROLES`."""
        return f"{self.settings.project}-{purpose}-{self.settings.region}"

    def role_arn(self, purpose: str) -> str:
        return self.partition.arn("iam", f"role/{self.role(purpose)}", account=self.account)

    @property
    def _vpc_config(self) -> dict[str, Any]:
        """The member VpcConfig, with the name of the security group, or nothing."""
        return {"VpcConfig": vpc_config(self.settings.project, self.vpc)} if self.vpc else {}

    def image(self, name: str) -> Image:
        """That of the account's registry, else the one that was built on this machine."""
        built = f"stagemaker/{name}:latest"
        return self.images.get(name) or Image(built, built)

    def training_request(self, model: ModelSettings, attempt: int = 1) -> dict[str, Any]:
        """CreateTrainingJob. A name is used up by a job that failed, so the next attempt gets the next name. Models
        that are trained alike have one job."""
        image = self.image("trainer")
        request = self._training(model, image.reference)
        fingerprint = _fingerprint({**self._training(model, image.content), "data": self.data_digest})
        suffix = f"-{attempt}" if attempt > 1 else ""
        name = f"{self.settings.project}-{fingerprint}{suffix}"
        # On spot instances a job goes on from its own checkpoints, and a new attempt has none.
        checkpoints = {"CheckpointConfig": {"S3Uri": f"s3://{self.bucket}/{CHECKPOINTS}/{name}"}}
        return {
            "TrainingJobName": name,
            # The same model comes of it, wherever it is trained and however it is encrypted.
            **encrypted_job(request, self.key),
            **(checkpoints if model.training.spot else {}),
            # Not of the fingerprint either: TensorBoard files are for looking at.
            "TensorBoardOutputConfig": {"S3OutputPath": request["OutputDataConfig"]["S3OutputPath"]},
            **self._vpc_config,
        }

    @property
    def searches_with_features(self) -> bool:
        """Whether all training jobs of the search train a head on the same features."""
        tuned = {*self.settings.tuning.ranges.continuous, *self.settings.tuning.ranges.categorical}
        is_head = self.settings.hyperparameters.get("fine-tune", "head") == "head"
        return is_head and not tuned & {*_OF_FEATURES, "fine-tune"}

    def features_request(self, attempt: int = 1) -> dict[str, Any]:
        """CreateTrainingJob: the job that computes the features for the jobs of a search. Searches that differ in other
        hyperparameters have one job."""
        image = self.image("trainer")
        fingerprint = _fingerprint({**self._features(image.content), "data": self.data_digest})
        suffix = f"-{attempt}" if attempt > 1 else ""
        return {
            "TrainingJobName": f"{self.settings.project}-{fingerprint}{suffix}",
            **encrypted_job(self._features(image.reference), self.key),
            **self._vpc_config,
        }

    def _features(self, image: str) -> dict[str, Any]:
        request = self._training(self.settings.models[0], image)
        kept = {name: value for name, value in request["HyperParameters"].items() if name in _OF_FEATURES}
        return {
            **request,
            "HyperParameters": {**kept, "features-only": "true"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/{FEATURES}"},
        }

    def tuning_request(self, attempt: int = 1, features_job: str = "") -> dict[str, Any]:
        """CreateHyperParameterTuningJob: training jobs as `training_request` has them, but for the hyperparameters that
        are searched, for the first model, and with the features of `features_job`, if it has a name. The job's name has
        at most 32 characters, and is another for each attempt."""
        request = self._tuning(self.image("trainer").reference, features_job)
        same = self._tuning(self.image("trainer").content, features_job)
        fingerprint = _fingerprint({**same, "data": self.data_digest, "attempt": attempt})
        definition = {**encrypted_job(request["TrainingJobDefinition"], self.key), **self._vpc_config}
        name = f"{self.settings.project}-{fingerprint}"
        return {"HyperParameterTuningJobName": name, **request, "TrainingJobDefinition": definition}

    def _tuning(self, image: str, features_job: str) -> dict[str, Any]:
        s = self.settings
        training, ranges, objective = self._training(s.models[0], image), s.tuning.ranges, s.tuning.objective
        tuned = {*ranges.continuous, *ranges.categorical}
        algorithm = training["AlgorithmSpecification"]
        static = {name: value for name, value in training["HyperParameters"].items() if name not in tuned}
        channels = training["InputDataConfig"]
        if features_job:  # these tell all that a head needs to know of the photos
            channels = [channel for channel in channels if channel["ChannelName"] not in CHANNELS]
            channels.append(self._channel(FEATURES, f"{FEATURES}/{features_job}/output/"))
        return {
            "HyperParameterTuningJobConfig": {
                "Strategy": s.tuning.strategy,
                "HyperParameterTuningJobObjective": {
                    "Type": "Minimize" if objective.endswith("loss") else "Maximize",
                    "MetricName": objective,
                },
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": s.tuning.jobs,
                    "MaxParallelTrainingJobs": s.tuning.parallel,
                },
                "ParameterRanges": _parameter_ranges(ranges),
                "TrainingJobEarlyStoppingType": s.tuning.early_stopping,
            },
            "TrainingJobDefinition": {
                "AlgorithmSpecification": algorithm,
                "RoleArn": training["RoleArn"],
                # Nobody serves these models: `make train BEST=1` trains anew.
                "StaticHyperParameters": {"measure-precisions": "false", **static},
                "InputDataConfig": channels,
                "OutputDataConfig": training["OutputDataConfig"],
                "ResourceConfig": training["ResourceConfig"],
                "StoppingCondition": training["StoppingCondition"],
                # No checkpoints: AWS does not say where those of each job lie, and no job may read another's.
                **({"EnableManagedSpotTraining": True} if s.models[0].training.spot else {}),
            },
            "Tags": self.tags,
        }

    def _training(self, model: ModelSettings, image: str) -> dict[str, Any]:
        training = model.training
        channels = (*CHANNELS, *(("pretrained",) if self.pretrained else ()))
        return {
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRICS.items()],
            },
            "RoleArn": self.role_arn("training"),
            "HyperParameters": dict(self.settings.hyperparameters),
            "InputDataConfig": [self._channel(name) for name in channels],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {
                "InstanceType": training.instance_type,
                "InstanceCount": training.instances,
                "VolumeSizeInGB": training.volume_gb,
            },
            "StoppingCondition": {
                "MaxRuntimeInSeconds": training.limit_s,
                **({"MaxWaitTimeInSeconds": training.wait_limit_s} if training.spot else {}),
            },
            **({"EnableManagedSpotTraining": True} if training.spot else {}),
            "Tags": self.tags,
        }

    def _channel(self, name: str, prefix: str = "") -> dict[str, Any]:
        prefix = prefix or (f"data/{name}/" if name in SPLITS else f"{name}/")
        data = self.settings.data
        source = {
            "S3DataType": "S3Prefix",
            "S3Uri": f"{data.uri}{name}/" if data and name in CHANNELS else f"s3://{self.bucket}/{prefix}",
            "S3DataDistributionType": "FullyReplicated",
        }
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}}

    def model_request(self, training_job: str) -> dict[str, Any]:
        """CreateModel: the artifact of the training job, which need not have run, with the image that serves it.
        SageMaker puts a job's artifact at <S3OutputPath>/<job>/output/model.tar.gz."""
        artifact = f"s3://{self.bucket}/models/{training_job}/output/model.tar.gz"
        request = {
            "PrimaryContainer": {"Image": self.image("serve").reference, "ModelDataUrl": artifact},
            "ExecutionRoleArn": self.role_arn("hosting"),
            **self._vpc_config,
        }
        return {"ModelName": f"{self.settings.project}-{_fingerprint(request)}", **request, "Tags": self.tags}

    def endpoint_config_request(self, model: ModelSettings, model_name: str) -> dict[str, Any]:
        """CreateEndpointConfig: one variant that takes all traffic."""
        variant = {
            "VariantName": VARIANT,
            "ModelName": model_name,
            "InitialInstanceCount": model.endpoint.instances,
            "InstanceType": model.endpoint.instance_type,
            "InitialVariantWeight": 1.0,
        }
        takes_key = self.key and not has_own_disks(model.endpoint.instance_type)
        key = {"KmsKeyId": self.key} if takes_key else {}
        name = f"{self.settings.project}-{_fingerprint({**variant, **key})}"
        return {"EndpointConfigName": name, "ProductionVariants": [variant], **key, "Tags": self.tags}

    def function_request(self) -> dict[str, Any]:
        """CreateFunction without its code."""
        function = self.settings.function
        return {
            "FunctionName": self.function,
            "Description": "Passes an event to the endpoint and gives back its answer",
            "Runtime": function.runtime,
            "Handler": "handler.lambda_handler",
            "Role": self.role_arn("lambda"),
            "Timeout": function.timeout_s,
            "MemorySize": function.memory_mb,
            "Environment": {"Variables": {"ENDPOINT_NAME": self.called_endpoint, "SYSTEM": function.system}},
            **({"KMSKeyArn": self.key} if self.key else {}),
        }

    def function_url_request(self) -> dict[str, Any]:
        """CreateFunctionUrlConfig for the alias: who may call it, and the pages of the origins."""
        origins = list(self.settings.function.origins)
        cors = {"AllowOrigins": origins, "AllowMethods": ["POST"], "AllowHeaders": ["content-type"], "MaxAge": 600}
        return {
            "FunctionName": self.function,
            "Qualifier": ALIAS,
            "AuthType": self.settings.function.url_auth or "NONE",
            "Cors": cors if origins else {},
        }

    def function_url_permissions(self) -> list[dict[str, Any]]:
        """The AddPermission requests without which a URL is closed even with AuthType NONE: since October 2025 both
        (https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html). With AWS_IAM a caller of the same account needs
        the two actions in a policy of its own, and the function has none."""
        if self.settings.function.url_auth == "AWS_IAM":
            return []
        alias = {"FunctionName": self.function, "Qualifier": ALIAS, "Principal": "*"}
        url = {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"}
        return [
            {**alias, "StatementId": URL_STATEMENTS[0], **url},
            {
                **alias,
                "StatementId": URL_STATEMENTS[1],
                "Action": "lambda:InvokeFunction",
                "InvokedViaFunctionUrl": True,
            },
        ]


def registry_host(account: str, region: str) -> str:
    """Where an account's images are in a region: `<account>.dkr.ecr.<region>.amazonaws.com`, or as the partition has
    it."""
    return f"{account}.dkr.ecr.{region}.{of_region(region).dns_suffix}"


def endpoint_logs(endpoint: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def scaling_requests(
    target: Mapping[str, str], scaling: ScalingSettings, policy: str = POLICY
) -> tuple[dict[str, Any], dict[str, Any]]:
    """RegisterScalableTarget and PutScalingPolicy of a variant, as `scalable` names it: target tracking of its
    invocations."""
    configuration = {
        "TargetValue": scaling.target,
        "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS_METRIC},
        "ScaleInCooldown": scaling.scale_in_cooldown_s,
        "ScaleOutCooldown": scaling.scale_out_cooldown_s,
    }
    return (
        {**target, "MinCapacity": scaling.min_instances, "MaxCapacity": scaling.max_instances},
        {
            **target,
            "PolicyName": policy,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": configuration,
        },
    )


def scalable(endpoint: str) -> dict[str, str]:
    """How Application Auto Scaling names the endpoint's variant."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _parameter_ranges(ranges: Ranges) -> dict[str, Any]:
    return {
        "ContinuousParameterRanges": [
            {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": "Logarithmic"}
            for name, (low, high) in ranges.continuous.items()
        ],
        "CategoricalParameterRanges": [
            {"Name": name, "Values": list(values)} for name, values in ranges.categorical.items()
        ],
    }


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
