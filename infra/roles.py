"""The roles of a deployment: one for each service that acts for it, what each may do, and why.

Pure: a role is computed from the blueprint. Each statement carries the reason why it is there, which `explain` prints.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from infra.blueprint import CHECKPOINTS, FEATURES, TRAINING_LOGS, Blueprint, endpoint_logs
from infra.data.layout import CHANNELS
from infra.encryption.requests import has_own_disks
from infra.notebook import names

POLICY_NAME = "least-privilege"
EC2_FOLDER = "models/ec2"  # of the bucket: what EC2 hosts write


# Operators, each with keys and the values that hold.
type Conditions = Mapping[str, Mapping[str, str | list[str]]]


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, which allows the actions on the resources where the condition holds, or denies them.
    `reason` says why it is there; IAM does not get to see it. `principals` are whom the policy of a bucket, of a key or
    of a gateway endpoint is about: ARNs, one service such as logs.us-east-1.amazonaws.com, or `*` for all; a role's
    policy has none."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str
    condition: Conditions = field(default_factory=dict)
    effect: str = "Allow"
    principals: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """As IAM takes it."""
        resource = list(self.resources) if len(self.resources) > 1 else self.resources[0]
        return {
            "Sid": self.sid,
            "Effect": self.effect,
            **({"Principal": self._principal} if self.principals else {}),
            "Action": list(self.actions),
            "Resource": resource,
            **({"Condition": dict(self.condition)} if self.condition else {}),
        }

    @property
    def _principal(self) -> Any:
        first = self.principals[0]
        if first == "*":
            return first
        return {"AWS": list(self.principals)} if first.startswith("arn:") else {"Service": first}


@dataclass(frozen=True)
class Role:
    """An IAM role with its one inline policy; `trusted` is who may take it: a service, or the ARN of an account's root,
    which stands for all users and roles of the account that may assume it."""

    name: str
    description: str
    trusted: str
    statements: tuple[Statement, ...]

    @property
    def trust(self) -> dict[str, Any]:
        """The trust policy."""
        kind = "AWS" if self.trusted.startswith("arn:") else "Service"
        allow = {"Effect": "Allow", "Principal": {kind: self.trusted}, "Action": "sts:AssumeRole"}
        return {"Version": "2012-10-17", "Statement": [allow]}

    @property
    def policy(self) -> dict[str, Any]:
        """The inline policy."""
        return document(self.statements)


def document(statements: Iterable[Statement]) -> dict[str, Any]:
    """The policy of these statements, as IAM takes it."""
    return {"Version": "2012-10-17", "Statement": [statement.document for statement in statements]}


def training(blueprint: Blueprint) -> Role:
    """For training jobs: reads the data, writes models, its own logs and metrics, and the trainer's image."""
    spot = any(model.training.spot for model in blueprint.settings.models)
    channels = (*_own_data(blueprint), "pretrained", FEATURES)
    statements = (
        _list_bucket(blueprint, *channels, *((CHECKPOINTS,) if spot else ())),
        Statement(
            "ReadData",
            ("s3:GetObject",),
            _objects(blueprint, *channels),
            "SageMaker downloads the channels under this role",
        ),
        *data_of_another(blueprint, "SageMaker downloads the photos from another account's bucket under this role"),
        *data_key_of_another(blueprint, "another account's key encrypts its photos, which SageMaker downloads"),
        Statement(
            "WriteModels",
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            _objects(blueprint, "models", FEATURES),
            "SageMaker uploads model.tar.gz, a large one in parts, and TensorBoard files under this role",
        ),
        *((_checkpoints(blueprint),) if spot else ()),
        _write_logs(blueprint, TRAINING_LOGS),
        _write_metrics(TRAINING_LOGS),
        *_pull_image(blueprint, "trainer"),
        *(() if blueprint.settings.network is None else (_attach_network(),)),
        *with_key_in_s3(blueprint, "the channels are decrypted, models and checkpoints encrypted", *READ_AND_WRITE),
        *with_key(
            blueprint,
            "EncryptOutput",
            ("kms:Encrypt",),
            "AWS asks this of the role of a job whose output names a key",
        ),
        *_with_key_on_volumes(blueprint, {model.training.instance_type for model in blueprint.settings.models}),
    )
    return Role(blueprint.role("training"), "Trains the model", "sagemaker.amazonaws.com", statements)


def hosting(blueprint: Blueprint) -> Role:
    """For models and their endpoints: reads models, writes the endpoints' logs and metrics, pulls the serving image."""
    statements = (
        _list_bucket(blueprint, "models"),
        Statement(
            "ReadModels",
            ("s3:GetObject",),
            _objects(blueprint, "models"),
            "SageMaker downloads model.tar.gz to each instance under this role",
        ),
        *_read_photos(blueprint),
        _write_logs(blueprint, *(endpoint_logs(name) for name in blueprint.endpoints)),
        _write_metrics("/aws/sagemaker/Endpoints"),
        *_pull_image(blueprint, "serve"),
        *(() if blueprint.settings.network is None else (_attach_network(),)),
        *with_key_in_s3(blueprint, "models and photos are decrypted", "kms:Decrypt"),
        *with_key_in_logs(blueprint, "SageMaker writes the endpoints' logs, which the key encrypts, under this role"),
        *_with_key_on_volumes(blueprint, {model.endpoint.instance_type for model in blueprint.settings.models}),
    )
    return Role(blueprint.role("hosting"), "Hosts the model", "sagemaker.amazonaws.com", statements)


def function(blueprint: Blueprint) -> Role:
    """For the function: this one endpoint and its own log group, nothing else."""
    statements = (
        Statement(
            "InvokeOneEndpoint",
            ("sagemaker:InvokeEndpoint",),
            (blueprint.arn("sagemaker", f"endpoint/{blueprint.called_endpoint}"),),
            "the function passes its events to this endpoint, and to no other",
        ),
        Statement(
            "WriteLogs",
            _WRITE_LOGS,
            (blueprint.arn("logs", f"log-group:{blueprint.function_logs}:*"),),
            "Lambda writes the function's log under this role",
        ),
        *_with_key_of_variables(blueprint),
        *with_key_in_logs(blueprint, "Lambda writes the function's log, which the key encrypts, under this role"),
    )
    return Role(blueprint.role("lambda"), "Invokes the endpoint", "lambda.amazonaws.com", statements)


def ec2(blueprint: Blueprint) -> Role:
    """For the EC2 host: reads the data and its own checkpoints, writes below its own folder, pulls the trainer's image,
    and lets Session Manager in."""
    folders = (*_own_data(blueprint), "pretrained", EC2_FOLDER)
    statements = (
        Statement(
            "ListOwnBucket",
            ("s3:ListBucket",),
            (blueprint.bucket_arn,),
            "`aws s3 sync` lists the objects below a prefix before it downloads them",
            {"StringLike": {"s3:prefix": [f"{prefix}/*" for prefix in folders]}},
        ),
        Statement(
            "ReadDataAndCheckpoints",
            ("s3:GetObject",),
            _objects(blueprint, *folders),
            "the host downloads the channels, and the checkpoints of a host that was interrupted",
        ),
        *data_of_another(blueprint, "the host downloads the photos from another account's bucket"),
        *data_key_of_another(blueprint, "another account's key encrypts its photos, which the host downloads"),
        Statement(
            "WriteResults",
            ("s3:PutObject", "s3:AbortMultipartUpload"),
            _objects(blueprint, EC2_FOLDER),
            "the host uploads its log, its checkpoints and the model, a large one in parts",
        ),
        *with_key_in_s3(
            blueprint, "the channels are decrypted, and what the host writes is encrypted", *READ_AND_WRITE
        ),
        *_pull_image(blueprint, "trainer"),
        Statement(
            "OpenSessions",
            SESSION_MANAGER,
            ("*",),
            "Session Manager needs no open port; of AmazonSSMManagedInstanceCore this is the part for sessions, since "
            "the rest lets the host read every parameter of the account; the actions know no resources",
        ),
    )
    return Role(blueprint.role("ec2"), "Trains the model on an EC2 host", "ec2.amazonaws.com", statements)


def notebook(blueprint: Blueprint) -> Role:
    """For the notebook instance, and for the jobs and endpoints that its notebook makes: their names begin alike, and
    it may touch no others."""
    own, begin = blueprint.role_arn("notebook"), names.begin(blueprint)
    bucket = blueprint.partition.arn("s3", f"{begin}-{blueprint.account}-{blueprint.settings.region}")
    endpoint, tuning_jobs = f"{begin}-*", f"hyper-parameter-tuning-job/{begin}-*"
    made = ("training-job", "model", "endpoint", "endpoint-config")
    in_subnet = blueprint.settings.notebook is not None and bool(blueprint.settings.notebook.subnet)
    itself = blueprint.arn("sagemaker", f"notebook-instance/{names.name(blueprint)}")
    scaling = "sagemaker.application-autoscaling.amazonaws.com"
    linked = f"role/aws-service-role/{scaling}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    statements = (
        Statement(
            "FetchNotebook",
            ("s3:GetObject",),
            _objects(blueprint, names.FILES),
            "the instance fetches the notebook and the list of its packages",
        ),
        Statement(
            "StopItself",
            ("sagemaker:DescribeNotebookInstance", "sagemaker:StopNotebookInstance"),
            (itself,),
            "the instance stops itself when nobody uses it; the notebook asks it for its role",
        ),
        Statement(
            "TrainAndDeploy",
            _NOTEBOOK_CALLS,
            tuple(blueprint.arn("sagemaker", each) for each in (tuning_jobs, *(f"{kind}/{begin}-*" for kind in made))),
            "the notebook trains, tunes, deploys, predicts and cleans up what its names begin",
        ),
        Statement(
            "ListAndScale",
            NOTEBOOK_LISTS,
            ("*",),
            "lists know no resources, nor does a scalable target before it is there",
        ),
        *((_attach_network(),) if in_subnet else ()),
        Statement(
            "ScaleByAlarms",
            ("cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"),
            (blueprint.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{endpoint}"),),
            "a scaling policy has two alarms, which whoever makes it must be allowed to make",
        ),
        Statement(
            "LetScalingAct",
            ("iam:CreateServiceLinkedRole",),
            (blueprint.partition.arn("iam", linked, account=blueprint.account),),
            "the first scalable target of an account makes Application Auto Scaling's own role",
            {"StringEquals": {"iam:AWSServiceName": scaling}},
        ),
        Statement(
            "OwnBucket",
            ("s3:CreateBucket", "s3:DeleteBucket", "s3:GetBucketLocation", "s3:ListBucket",
             "s3:PutBucketPublicAccessBlock"),
            (bucket,),
            "the notebook makes a bucket of its own and deletes it",
        ),
        Statement(
            "OwnObjects",
            ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
            (f"{bucket}/*",),
            "photos go into it, models come out, and all are deleted at the end",
        ),
        Statement(
            "PassItself",
            ("iam:PassRole",),
            (own,),
            "its jobs and endpoints run under the same role",
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
        Statement(
            "LookAtItself",
            ("iam:GetRole",),
            (own,),
            "SageMaker's SDK looks a role up before it gives it to a job",
        ),
        Statement(
            "WriteLogs",
            (*_WRITE_LOGS, "logs:DescribeLogStreams", "logs:GetLogEvents"),
            tuple(
                blueprint.arn("logs", f"log-group:{group}:*")
                for group in (names.LOGS, TRAINING_LOGS, endpoint_logs(endpoint))
            ),
            "SageMaker writes what instance, jobs and endpoints print, and the notebook shows a job's",
        ),
        Statement(
            "WriteMetrics",
            ("cloudwatch:PutMetricData",),
            ("*",),
            "jobs and endpoints tell theirs; the action knows no resources, so the namespaces narrow it",
            {"StringEquals": {"cloudwatch:namespace": [TRAINING_LOGS, "/aws/sagemaker/Endpoints"]}},
        ),
        *_pull_image(blueprint, "trainer", "serve"),
        *with_key_in_s3(blueprint, "the files of the deployment are decrypted", "kms:Decrypt"),
    )  # fmt: skip
    return Role(blueprint.role("notebook"), "Runs the notebook and its jobs", "sagemaker.amazonaws.com", statements)


# By the word that a user gives to `explain`.
ROLES: Mapping[str, Callable[[Blueprint], Role]] = {
    "training": training,
    "hosting": hosting,
    "lambda": function,
    "ec2": ec2,
    "notebook": notebook,
}


_WRITE_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
# AWS's list for sessions alone: "Verify or add instance permissions for Session Manager" in the Systems Manager guide.
SESSION_MANAGER = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
_NOTEBOOK_CALLS = (
    *(f"sagemaker:{verb}{noun}" for noun in ("TrainingJob", "HyperParameterTuningJob")
      for verb in ("Create", "Describe", "Stop")),
    *(f"sagemaker:{verb}{noun}" for noun in ("Model", "EndpointConfig", "Endpoint")
      for verb in ("Create", "Describe", "Delete")),
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob", "sagemaker:AddTags", "sagemaker:InvokeEndpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
)  # fmt: skip
NOTEBOOK_LISTS = (
    "sagemaker:ListTrainingJobs", "sagemaker:ListHyperParameterTuningJobs", "s3:ListAllMyBuckets",
    "application-autoscaling:RegisterScalableTarget", "application-autoscaling:DeregisterScalableTarget",
    "application-autoscaling:PutScalingPolicy", "application-autoscaling:DescribeScalingActivities",
)  # fmt: skip
# AWS's list for a notebook instance, a job and a model in a subnet: "SageMaker Roles" in the SageMaker guide.
ATTACH_NETWORK = (
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs",
)  # fmt: skip
_PULL_IMAGES = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_FROM_ECR = "images come from ECR where they were pushed, and from this machine where they were built"
# What the roles grant and not every run uses: the action, the end of the resource or of the condition's value, and the
# reason. tests/e2e/rights.py compares it with a run.
NOT_IN_EVERY_RUN: Mapping[tuple[str, str], str] = {
    ("s3:GetObject", "/pretrained/*"): "only a training with --pretrained has the channel",
    ("s3:GetObject", "/data/*"): "an endpoint reads photos only for requests that name one in S3",
    **{
        (action, "/features/*"): "only `make tune` has the job that computes the features"
        for action in ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
    },
    ("s3:AbortMultipartUpload", "/models/*"): "a large model is sent in parts, which are given up when one fails",
    ("logs:DescribeLogStreams", ":*"): "in SageMaker's own list of what a role needs; the stage does not ask for it",
    ("cloudwatch:PutMetricData", "Endpoints"): "an endpoint's instances tell theirs once a minute",
    ("ecr:GetAuthorizationToken", "*"): _FROM_ECR,
    **{(action, f"/stagemaker/{image}"): _FROM_ECR for action in _PULL_IMAGES for image in ("trainer", "serve")},
}


def data_of_another(
    blueprint: Blueprint, reason: str, principals: tuple[str, ...] = (), condition: Conditions = MappingProxyType({})
) -> tuple[Statement, ...]:
    """What reads the photos in a bucket of another account, where the settings have one: the channels of a training
    job, and nothing else in it. Nothing is read should the bucket become somebody else's."""
    data = blueprint.settings.data
    if data is None:
        return ()
    arn = blueprint.partition.arn("s3", data.bucket)
    below = [f"{data.folder}{channel}/*" for channel in CHANNELS]
    owned = {**condition, "StringEquals": {"aws:ResourceAccount": data.account}}
    listing = {**owned, "StringLike": {"s3:prefix": below}}
    objects = tuple(f"{arn}/{each}" for each in below)
    return (
        Statement("ListDataOfAnother", ("s3:ListBucket",), (arn,), f"{reason}; a list comes first", listing,
                  principals=principals),
        Statement("ReadDataOfAnother", ("s3:GetObject",), objects, reason, owned, principals=principals),
    )  # fmt: skip


def data_key_of_another(
    blueprint: Blueprint, reason: str, principals: tuple[str, ...] = (), condition: Conditions = MappingProxyType({})
) -> tuple[Statement, ...]:
    """What decrypts these photos, where a KMS key of another account encrypts them: by S3 alone, which names in the
    encryption context the object, or with a bucket key the bucket
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html)."""
    data = blueprint.settings.data
    if data is None or not data.kms_key_arn:
        return ()
    arn = blueprint.partition.arn("s3", data.bucket)
    encrypted = [arn, *(f"{arn}/{data.folder}{channel}/*" for channel in CHANNELS)]
    conditions = {
        **condition,
        **via(blueprint, "s3"),
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": encrypted},
    }
    about = "*" if principals else data.kms_key_arn  # of a key's own policy it is the key
    return (
        Statement("DecryptDataOfAnother", ("kms:Decrypt",), (about,), f"by S3 alone: {reason}", conditions,
                  principals=principals),
    )  # fmt: skip


def _read_photos(blueprint: Blueprint) -> Iterable[Statement]:
    """None where the photos are another account's, whose owner lets nobody but the training read them."""
    if _own_data(blueprint):
        yield Statement(
            "ReadPhotos",
            ("s3:GetObject",),
            _objects(blueprint, *_own_data(blueprint)),
            'the serving container fetches the photo of a request {"s3": "s3://..."} itself',
        )


def _own_data(blueprint: Blueprint) -> tuple[str, ...]:
    """The folder of the own bucket with the photos, where they are there."""
    return ("data",) if blueprint.settings.data is None else ()


# To write to a bucket that a key encrypts, and to read from it: a large object is written in parts, which S3 reads
# again (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html).
READ_AND_WRITE = ("kms:Decrypt", "kms:GenerateDataKey")
FOR_AWS: Conditions = {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def with_key(
    blueprint: Blueprint, sid: str, actions: tuple[str, ...], reason: str, condition: Conditions | None = None
) -> tuple[Statement, ...]:
    """A statement about the deployment's key; none where it has none."""
    encryption = blueprint.settings.encryption
    if encryption is None:
        return ()
    return (about_key(blueprint, blueprint.key or encryption.key, sid, actions, reason, condition or {}),)


def about_key(
    blueprint: Blueprint, name: str, sid: str, actions: tuple[str, ...], reason: str, condition: Conditions
) -> Statement:
    """A statement about the key of this id, alias or ARN. Which key has an alias is for AWS to know: it is about all
    that have it (kms:ResourceAliases in KMS's guide)."""
    conditions = dict(condition)
    place, is_alias, alias = name.rpartition("alias/")
    if is_alias:
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": f"alias/{alias}"}
        name = f"{place or blueprint.arn('kms', '')}key/*"
    elif not name.startswith("arn:"):
        name = blueprint.arn("kms", f"key/{name}")
    return Statement(sid, actions, (name,), reason, conditions)


def with_key_in_s3(blueprint: Blueprint, reason: str, *actions: str) -> tuple[Statement, ...]:
    """What S3 needs of who reads and writes the bucket."""
    return with_key(blueprint, "UseKeyInS3", actions, f"by S3 alone: {reason}", via(blueprint, "s3"))


def with_key_in_logs(blueprint: Blueprint, reason: str) -> tuple[Statement, ...]:
    """What CloudWatch Logs may ask of who writes and reads a log group with a key: it uses the key in its own name, by
    the key's policy, or in the caller's ("Encrypt log data in CloudWatch Logs using AWS KMS" in its guide, and AWS's
    managed policy CloudWatchLogsAPIKeyAccess)."""
    return with_key(
        blueprint, "UseKeyInLogs", ("kms:DescribeKey", *READ_AND_WRITE), f"by CloudWatch Logs alone: {reason}",
        via(blueprint, "logs"),
    )  # fmt: skip


def spot_role(blueprint: Blueprint) -> str:
    """The ARN of the role by which EC2 launches spot instances: "Service-linked role for Spot Instance requests" in its
    guide."""
    name = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    return blueprint.partition.arn("iam", name, account=blueprint.account)


def via(blueprint: Blueprint, service: str) -> Conditions:
    """That KMS is called by the service, such as `s3`, in the name of who has the right."""
    return {
        "StringEquals": {"kms:ViaService": f"{service}.{blueprint.settings.region}.{blueprint.partition.dns_suffix}"}
    }


def _with_key_on_volumes(blueprint: Blueprint, types: Iterable[str]) -> tuple[Statement, ...]:
    """AWS's list for a volume with a key: "SageMaker Roles" in the SageMaker guide, and KmsKeyId of
    CreateEndpointConfig, which asks the same of an endpoint's role."""
    if all(has_own_disks(one) for one in types):
        return ()
    reason = "SageMaker lets the volumes of its instances use the key by a grant, which is for AWS alone"
    return with_key(blueprint, "EncryptVolumes", ("kms:CreateGrant",), reason, FOR_AWS)


def _with_key_of_variables(blueprint: Blueprint) -> tuple[Statement, ...]:
    """Lambda decrypts the variables under the function's role, by a grant that it makes when the function gets its key.
    A role that is made anew has no such grant, and needs the right itself
    (https://www.lastweekinaws.com/blog/the-sneaky-weakness-behind-aws-managed-kms-keys/)."""
    function = blueprint.arn("lambda", f"function:{blueprint.function}")
    return with_key(
        blueprint,
        "ReadVariables",
        ("kms:Decrypt",),
        "Lambda decrypts the function's variables under this role, and those of no other function",
        {"StringLike": {"kms:EncryptionContext:aws:lambda:FunctionArn": [function, f"{function}:*"]}},
    )


def _attach_network() -> Statement:
    return Statement(
        "AttachNetwork",
        ATTACH_NETWORK,
        ("*",),
        "SageMaker attaches instances to their subnets under this role; most of the actions know no resources",
    )


def _objects(blueprint: Blueprint, *prefixes: str) -> tuple[str, ...]:
    return tuple(f"{blueprint.bucket_arn}/{prefix}/*" for prefix in prefixes)


def _list_bucket(blueprint: Blueprint, *prefixes: str) -> Statement:
    return Statement(
        "ListOwnBucket",
        ("s3:ListBucket",),
        (blueprint.bucket_arn,),
        "SageMaker lists the objects below a prefix before it downloads them",
        {"StringLike": {"s3:prefix": [f"{prefix}/*" for prefix in prefixes]}},
    )


def _checkpoints(blueprint: Blueprint) -> Statement:
    return Statement(
        "KeepCheckpoints",
        ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
        _objects(blueprint, CHECKPOINTS),
        "on spot instances SageMaker keeps /opt/ml/checkpoints the same in S3, deletions too, and brings it back",
    )


def _write_logs(blueprint: Blueprint, *groups: str) -> Statement:
    return Statement(
        "WriteLogs",
        (*_WRITE_LOGS, "logs:DescribeLogStreams"),
        tuple(blueprint.arn("logs", f"log-group:{group}:*") for group in groups),
        "SageMaker writes what the containers print under this role",
    )


def _write_metrics(namespace: str) -> Statement:
    return Statement(
        "WriteMetrics",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "SageMaker writes the instances' metrics; the action knows no resources, so the namespace narrows it",
        {"StringEquals": {"cloudwatch:namespace": namespace}},
    )


def _pull_image(blueprint: Blueprint, *names_of_images: str) -> tuple[Statement, Statement]:
    return (
        Statement(
            "LogInToRegistry",
            ("ecr:GetAuthorizationToken",),
            ("*",),
            "a pull from ECR begins with a token; the action knows no resources",
        ),
        Statement(
            "PullImage",
            _PULL_IMAGES,
            tuple(blueprint.arn("ecr", f"repository/stagemaker/{image}") for image in names_of_images),
            "SageMaker pulls the image under this role",
        ),
    )
