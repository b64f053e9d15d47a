"""What a person or a CI job needs to plan, push, deploy, tune, train on EC2, open the notebook and destroy. Pure.

`explain deployer` prints it: as a role that the account's own users and roles may take, or for its policy alone.
"""

from collections.abc import Iterable, Mapping

from infra.blueprint import PROJECT_TAG, TRAINING_LOGS, Blueprint, endpoint_logs
from infra.notebook import names as notebook
from infra.roles import (
    FOR_AWS,
    READ_AND_WRITE,
    ROLES,
    Role,
    Statement,
    about_key,
    data_key_of_another,
    data_of_another,
    spot_role,
    via,
    with_key,
    with_key_in_logs,
    with_key_in_s3,
)

_SCALING = "sagemaker.application-autoscaling.amazonaws.com"
_MAKING_IN_EC2 = ("RunInstances", "CreateSecurityGroup", "CreateLaunchTemplate", "ImportKeyPair", "CreateVpcEndpoint")


def deployer(blueprint: Blueprint) -> Role:
    """The role of the deployer. Its statements name what carries the project's name or tag, and nothing else that has
    one."""
    statements = (
        *_bucket(blueprint),
        *data_of_another(blueprint, "the photos in another account's bucket are counted, and one is looked at"),
        *data_key_of_another(blueprint, "another account's key encrypts its photos, one of which is looked at"),
        *_roles(blueprint),
        *_sagemaker(blueprint),
        *_scaling(blueprint),
        *_function(blueprint),
        *_logs(blueprint),
        *_images(blueprint),
        *_key_of_images(blueprint),
        *_key(blueprint),
        *_in_ec2(blueprint),
        _lists(),
    )
    root = blueprint.partition.arn("iam", "root", account=blueprint.account)
    return Role(blueprint.role("deployer"), "Plans, pushes, deploys and destroys", root, statements)


def _bucket(blueprint: Blueprint) -> Iterable[Statement]:
    yield Statement(
        "Bucket",
        (
            "s3:CreateBucket", "s3:DeleteBucket", "s3:ListBucket",
            *_all_of("s3:{}BucketPublicAccessBlock", "Get", "Put"), *_all_of("s3:{}BucketTagging", "Get", "Put"),
            *_all_of("s3:{}BucketOwnershipControls", "Get", "Put"),
            *_all_of("s3:{}EncryptionConfiguration", "Get", "Put"), *_all_of("s3:{}BucketPolicy", "Get", "Put"),
            *_all_of("s3:{}LifecycleConfiguration", "Get", "Put"),
        ),
        (blueprint.bucket_arn,),
        "the bucket is made, closed to the public and to calls without TLS, rid of parts of old uploads, and deleted",
    )  # fmt: skip
    yield Statement(
        "Objects",
        ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
        (f"{blueprint.bucket_arn}/*",),
        "the data is sent, models are read, and all is deleted before the bucket",
    )


def _roles(blueprint: Blueprint) -> Iterable[Statement]:
    profile = blueprint.partition.arn("iam", f"instance-profile/{blueprint.role('ec2')}", account=blueprint.account)
    yield Statement(
        "Roles",
        (
            *_all_of("iam:{}Role", "Get", "Create", "Delete", "Tag"), "iam:UpdateAssumeRolePolicy",
            *_all_of("iam:{}RolePolicy", "Get", "Put", "Delete"), "iam:ListRolePolicies",
            "iam:ListAttachedRolePolicies", "iam:DetachRolePolicy",
        ),
        tuple(blueprint.role_arn(purpose) for purpose in ROLES),
        "the deployment's own roles are made with their one policy each; other roles stay out of reach",
    )  # fmt: skip
    yield Statement(
        "InstanceProfile",
        (
            *_all_of("iam:{}InstanceProfile", "Get", "Create", "Delete", "Tag"),
            "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
        ),
        (profile,),
        "an EC2 host gets its role by an instance profile",
    )  # fmt: skip
    for sid, purposes in (
        ("PassToSageMaker", ("training", "hosting", "notebook")),
        ("PassToLambda", ("lambda",)),
        ("PassToEc2", ("ec2",)),
    ):
        yield Statement(
            sid,
            ("iam:PassRole",),
            tuple(blueprint.role_arn(purpose) for purpose in purposes),
            "who creates what runs under a role must be allowed to pass the role, to this service alone",
            {"StringEquals": {"iam:PassedToService": ROLES[purposes[0]](blueprint).trusted}},
        )


def _sagemaker(blueprint: Blueprint) -> Iterable[Statement]:
    yield Statement(
        "SageMaker",
        (
            *_all_of("sagemaker:{}TrainingJob", "Create", "Describe", "Stop", "Delete"),
            *_all_of("sagemaker:{}HyperParameterTuningJob", "Create", "Describe", "Stop", "Delete"),
            "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
            *_all_of("sagemaker:{}Model", "Create", "Describe", "Delete"),
            *_all_of("sagemaker:{}EndpointConfig", "Create", "Describe", "Delete"),
            *_all_of("sagemaker:{}Endpoint", "Create", "Describe", "Update", "Delete", "Invoke"),
            "sagemaker:UpdateEndpointWeightsAndCapacities",
            *_all_of("sagemaker:{}Tags", "Add", "List"),
        ),
        (blueprint.arn("sagemaker", f"*/{blueprint.settings.project}*"),),
        "jobs, models and endpoints whose names begin with the project's",
    )  # fmt: skip
    name = notebook.name(blueprint)
    yield Statement(
        "Notebook",
        (
            *_all_of("sagemaker:{}NotebookInstance", "Create", "Describe", "Update", "Start", "Stop", "Delete"),
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            *_all_of("sagemaker:{}NotebookInstanceLifecycleConfig", "Create", "Describe", "Update", "Delete"),
            *_all_of("sagemaker:{}Tags", "Add", "List"),
        ),
        tuple(
            blueprint.arn("sagemaker", f"{kind}/{name}")
            for kind in ("notebook-instance", "notebook-instance-lifecycle-config")
        ),
        "the one notebook instance with its scripts, and the address that opens it",
    )  # fmt: skip


def _scaling(blueprint: Blueprint) -> Iterable[Statement]:
    yield Statement(
        "Scaling",
        (
            *_all_of("application-autoscaling:{}ScalableTarget", "Register", "Deregister"),
            "application-autoscaling:PutScalingPolicy",
        ),
        (blueprint.arn("application-autoscaling", "scalable-target/*"),),
        "an endpoint's scaling; the ARN of a scalable target does not name the endpoint",
    )  # fmt: skip
    linked = f"role/aws-service-role/{_SCALING}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    yield Statement(
        "ScalingRole",
        ("iam:CreateServiceLinkedRole",),
        (blueprint.partition.arn("iam", linked, account=blueprint.account),),
        "the account's first scalable target of SageMaker makes AWS's own role for it",
        {"StringEquals": {"iam:AWSServiceName": _SCALING}},
    )
    yield Statement(
        "ScalingAlarms",
        _all_of("cloudwatch:{}", "PutMetricAlarm", "DescribeAlarms", "DeleteAlarms"),
        (blueprint.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{blueprint.settings.project}*"),),
        "AWS makes and deletes the alarms of a scaling policy in the name of who puts it",
    )


def _function(blueprint: Blueprint) -> Iterable[Statement]:
    function = blueprint.arn("lambda", f"function:{blueprint.function}")
    yield Statement(
        "Function",
        (
            *_all_of("lambda:{}Function", "Create", "Get", "Delete", "Invoke"),
            "lambda:GetFunctionConfiguration", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
            "lambda:PublishVersion", "lambda:TagResource",
            *_all_of("lambda:{}Alias", "Create", "Get", "Update", "Delete"),
            *_all_of("lambda:{}FunctionConcurrency", "Put", "Delete"),
            *_all_of("lambda:{}ProvisionedConcurrencyConfig", "Get", "Put", "Delete"),
            *_all_of("lambda:{}FunctionUrlConfig", "Create", "Get", "Update", "Delete"),
            "lambda:GetPolicy", "lambda:AddPermission", "lambda:RemovePermission",
        ),
        (function, f"{function}:*"),
        "the one function, its versions and its alias",
    )  # fmt: skip


def _logs(blueprint: Blueprint) -> Iterable[Statement]:
    groups = (endpoint_logs(f"{blueprint.settings.project}*"), blueprint.function_logs)
    own = tuple(blueprint.arn("logs", f"log-group:{group}:*") for group in groups)
    of_all = tuple(blueprint.arn("logs", f"log-group:{group}:*") for group in (TRAINING_LOGS, notebook.LOGS))
    yield Statement(
        "Logs",
        _all_of("logs:{}", "DescribeLogStreams", "GetLogEvents", "DeleteLogStream"),
        (*own, *of_all),
        "what containers print is shown while they run and when they fail; the streams of jobs and of the notebook "
        "instance, whose log groups are the whole account's, are deleted at the end",
    )
    yield Statement(
        "OwnLogs",
        _all_of("logs:{}", "DisassociateKmsKey", "DeleteLogGroup"),
        own,
        "the log groups of endpoints and function are deleted at the end; without [encryption] one that has a key "
        "gets rid of it",
    )
    if blueprint.settings.encryption:
        yield Statement(
            "LogsWithKey",
            _all_of("logs:{}", "CreateLogGroup", "AssociateKmsKey", "TagResource"),
            tuple(blueprint.arn("logs", f"log-group:{group}{end}") for group in groups for end in ("", ":*")),
            "the log groups of endpoints and function are made with the key before anything writes to them",
        )


def _images(blueprint: Blueprint) -> Iterable[Statement]:
    yield Statement(
        "LogInToRegistry", ("ecr:GetAuthorizationToken",), ("*",), "a push begins with a token; it knows no resources"
    )
    yield Statement(
        "PushImages",
        (
            *_all_of("ecr:{}Repository", "Create", "Delete"), "ecr:DescribeRepositories",
            *_all_of("ecr:{}RepositoryPolicy", "Get", "Set"), *_all_of("ecr:{}LifecyclePolicy", "Get", "Put"),
            "ecr:ListTagsForResource", "ecr:TagResource", "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability", "ecr:DescribeImages", "ecr:BatchCheckLayerAvailability",
            "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
            "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchDeleteImage",
        ),
        (blueprint.arn("ecr", "repository/stagemaker/*"),),
        "`make push`: the images' repositories, with their rules, and the layers; a deployment looks them up",
    )  # fmt: skip


def _key_of_images(blueprint: Blueprint) -> Iterable[Statement]:
    """AWS's list: "Encryption at rest" in ECR's guide."""
    if name := blueprint.settings.images.kms_key:
        yield about_key(
            blueprint,
            name,
            "EncryptRepositories",
            ("kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"),
            "who makes or deletes a repository with a key lets ECR use the key, or ends that, by ECR alone",
            via(blueprint, "ecr"),
        )


def _key(blueprint: Blueprint) -> Iterable[Statement]:
    """With the settings' key, by two lists of AWS: "Amazon SageMaker API Permissions" in SageMaker's guide, where who
    makes an endpoint or a notebook instance grants it the key, and "Securing Lambda environment variables" in Lambda's
    guide."""
    yield from with_key(blueprint, "LookUpKey", ("kms:DescribeKey",), "a deployment looks its key up before all else")
    yield from with_key_in_s3(
        blueprint, "the data is sent and models are read, encrypted with the key", *READ_AND_WRITE
    )
    yield from with_key(
        blueprint,
        "EncryptVolumes",
        ("kms:CreateGrant",),
        "who makes a job, an endpoint or a notebook instance lets its volumes use the key, by SageMaker alone",
        {**via(blueprint, "sagemaker"), **FOR_AWS},
    )
    yield from with_key(
        blueprint,
        "EncryptVariables",
        ("kms:CreateGrant", "kms:Decrypt", "kms:Encrypt"),
        "who gives a function its key lets Lambda use it, and sees the variables, by Lambda alone",
        via(blueprint, "lambda"),
    )
    yield from with_key_in_logs(blueprint, "who makes a log group names its key, and its lines are shown")
    if blueprint.settings.ec2:
        yield from _key_of_hosts(blueprint)


def _key_of_hosts(blueprint: Blueprint) -> Iterable[Statement]:
    """AWS's list: "Requirements for Amazon EBS encryption" in the guide of EBS."""
    yield from with_key(
        blueprint,
        "EncryptHostVolumes",
        (
            "kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        "who launches an EC2 host uses the key for its volume, by EC2 alone",
        via(blueprint, "ec2"),
    )  # fmt: skip
    yield from with_key(
        blueprint,
        "LetHostVolumesUseKey",
        ("kms:CreateGrant",),
        "the host decrypts its volume by a grant of who launches it, which is for AWS alone",
        {**via(blueprint, "ec2"), **FOR_AWS},
    )


def _in_ec2(blueprint: Blueprint) -> Iterable[Statement]:
    """`make ec2-train`, a network of one's own, and a destruction after them."""
    project, every = blueprint.settings.project, blueprint.arn("ec2", "*/*")
    yield Statement(
        "RunTaggedHosts",
        ("ec2:RunInstances",),
        (blueprint.arn("ec2", "instance/*"),),
        "`make ec2-train` starts hosts that carry the project's tag",
        {"StringEquals": {f"aws:RequestTag/{PROJECT_TAG}": project}},
    )
    others = ("key-pair", "launch-template", "network-interface", "security-group", "subnet", "volume")
    yield Statement(
        "RunWithWhatThereIs",
        ("ec2:RunInstances",),
        (
            *(blueprint.arn("ec2", f"{kind}/*") for kind in others),
            blueprint.partition.arn("ec2", "image/*", blueprint.settings.region),
        ),
        "what a host is started with is asked for besides: its image is AWS's, its network the account's",
    )
    yield Statement(
        "MakeTagged",
        ("ec2:CreateSecurityGroup", "ec2:CreateLaunchTemplate", "ec2:ImportKeyPair", "ec2:CreateVpcEndpoint"),
        (every,),
        "security groups, launch templates, key pairs and gateway endpoints have no name in their ARN before they are "
        "made",
    )
    yield Statement(
        "TagWhatIsMade",
        ("ec2:CreateTags",),
        (every,),
        "tags are given with what is made, and not to what is there",
        {"StringEquals": {"ec2:CreateAction": list(_MAKING_IN_EC2)}},
    )
    yield Statement(
        "ChangeTagged",
        (
            "ec2:TerminateInstances", "ec2:GetConsoleOutput", "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress", "ec2:DeleteSecurityGroup", "ec2:ModifyVpcEndpoint",
            "ec2:DeleteVpcEndpoints", "ec2:CreateLaunchTemplateVersion",
            "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplate", "ec2:DeleteKeyPair",
        ),
        (every,),
        "what carries the project's tag is changed and deleted, and nothing else in EC2",
        {"StringEquals": {f"aws:ResourceTag/{PROJECT_TAG}": project}},
    )  # fmt: skip
    if blueprint.settings.ec2 and blueprint.settings.ec2.market == "spot":
        yield Statement(
            "SpotRole",
            ("iam:CreateServiceLinkedRole",),
            (spot_role(blueprint),),
            "the account's first spot instance makes EC2's own role for them",
            {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
        )
    yield Statement(
        "NewestAmi",
        ("ssm:GetParameter",),
        (blueprint.partition.arn("ssm", "parameter/aws/service/*", blueprint.settings.region),),
        "AWS's public parameters name the newest images of hosts",
    )


LISTS = (
    *(f"sagemaker:List{kind}" for kind in (
        "TrainingJobs", "HyperParameterTuningJobs", "Models", "EndpointConfigs", "Endpoints",
    )),
    "logs:DescribeLogGroups", "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies", "tag:GetResources",
    *(f"ec2:Describe{kind}" for kind in (
        "Instances", "Images", "InstanceTypeOfferings", "KeyPairs", "LaunchTemplates", "LaunchTemplateVersions",
        "RouteTables", "SecurityGroups", "SpotPriceHistory", "Subnets", "VpcEndpoints", "Vpcs",
    )),
    "pricing:GetProducts", "servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas",
)  # fmt: skip


def _lists() -> Statement:
    return Statement(
        "Lists",
        LISTS,
        ("*",),
        "what is there is found by name and tag, without a state file, and `make plan` asks for prices and quotas; "
        "these only read, and most know no resources",
    )


def _all_of(form: str, *verbs: str) -> tuple[str, ...]:
    return tuple(form.format(verb) for verb in verbs)


# What the deployer's role grants, and not every deployment and destruction uses: the Sid or the action, and the reason.
NOT_IN_EVERY_DEPLOYMENT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "iam:UpdateAssumeRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "sagemaker:UpdateEndpoint",
            "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionUrlConfig",
            "lambda:UpdateAlias",
        ),
        "a deployment that changes what is there",
    ),
    **dict.fromkeys(
        ("sagemaker:StopTrainingJob", "sagemaker:StopHyperParameterTuningJob"), "only a job that runs is stopped"
    ),
    **dict.fromkeys(
        (
            "sagemaker:CreateHyperParameterTuningJob", "sagemaker:DescribeHyperParameterTuningJob",
            "sagemaker:DeleteHyperParameterTuningJob", "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        ),
        "`make tune`",
    ),
    "Notebook": "only a preset with [notebook] makes one",
    **dict.fromkeys(
        ("InstanceProfile", "PassToEc2", "RunTaggedHosts", "RunWithWhatThereIs", "MakeTagged", "TagWhatIsMade",
         "ChangeTagged", "NewestAmi"),
        "only `make ec2-train` makes hosts, and only a preset with [network] a network",
    ),
    **dict.fromkeys(
        (
            "lambda:AddPermission", "lambda:RemovePermission", "lambda:GetPolicy", "lambda:CreateFunctionUrlConfig",
            "lambda:DeleteFunctionUrlConfig", "lambda:PutFunctionConcurrency", "lambda:DeleteFunctionConcurrency",
            "lambda:PutProvisionedConcurrencyConfig", "lambda:GetProvisionedConcurrencyConfig",
            "lambda:DeleteProvisionedConcurrencyConfig", "lambda:InvokeFunction", "sagemaker:InvokeEndpoint",
        ),
        "settings of the function, and calls that try what was deployed",
    ),
    **dict.fromkeys(("ScalingRole", "ScalingAlarms"),
        "AWS asks the caller for it; on the stage Application Auto Scaling does it in its own name"),
    "s3:AbortMultipartUpload": "a large file is sent in parts, which are given up when one fails",
    "logs:DisassociateKmsKey": "only where the settings had [encryption] before",
    **dict.fromkeys(("LogInToRegistry", "PushImages"), "`make push`; a deployment only looks images up"),
    "Lists": "prices, quotas and hosts are not looked up by each command",
}  # fmt: skip
