"""ECR with a real registry service behind it, driven by boto3 and by the docker command."""

import http.client
import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from stagemaker.api.validation import violations
from tests.contract.docker_image import docker_url
from tests.contract.ecr_proxy import ecr_proxy
from tests.contract.gateway import REGION, Gateway, ended, make_bucket, make_role, training_request
from tests.contract.own_operations import own_operations
from tests.contract.registry_stack import RegistryStack, docker, registry_stack, run
from tests.contract.terraform import NEEDS_TERRAFORM, applied
from tests.contract.users import allow, make_user

OTHER = "111111111111"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryStack]:
    docker_url()
    with registry_stack(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(scope="module")
def ecr(stack: RegistryStack) -> Any:
    return stack.client("ecr")


@pytest.fixture(scope="module")
def login(stack: RegistryStack) -> Path:
    return stack.log_in()


def refused(call: Any, **request: Any) -> tuple[str, str]:
    """The code and the message of what ECR answers instead."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def detail(ecr: Any, repository: str, tag: str) -> Any:
    return ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"][0]


def test_a_pushed_image_is_described_as_docker_and_its_manifest_say(
    stack: RegistryStack, ecr: Any, login: Path
) -> None:
    made = ecr.create_repository(repositoryName="dogs/pushed")["repository"]
    assert made["repositoryUri"] == f"localhost:{stack.port}/dogs/pushed"
    name = stack.image("dogs/pushed", "one", os.urandom(300_000))
    docker("push", name, config=login)
    found = detail(ecr, "dogs/pushed", "one")
    assert docker("image", "inspect", name, "--format", "{{index .RepoDigests 0}}").endswith(found["imageDigest"])
    answer = ecr.batch_get_image(repositoryName="dogs/pushed", imageIds=[{"imageTag": "one"}, {"imageTag": "two"}])
    manifest = json.loads(answer["images"][0]["imageManifest"])
    assert found["imageSizeInBytes"] == sum(part["size"] for part in (manifest["config"], *manifest["layers"]))
    assert found["imageManifestMediaType"] == manifest["mediaType"]
    assert [(item["imageId"], item["failureCode"]) for item in answer["failures"]] == [
        ({"imageTag": "two"}, "ImageNotFound")
    ]
    layers = [manifest["layers"][0]["digest"], "sha256:" + "0" * 64]
    checked = ecr.batch_check_layer_availability(repositoryName="dogs/pushed", layerDigests=layers)["layers"]
    assert [layer["layerAvailability"] for layer in checked] == ["AVAILABLE", "UNAVAILABLE"]


def as_oci(manifest: str) -> dict[str, str]:
    """PutImage's members for the OCI manifest of an image that Docker pushed: the same blobs, under OCI's types."""
    names = {
        "docker.distribution.manifest.v2+json": "oci.image.manifest.v1+json",
        "docker.container.image.v1+json": "oci.image.config.v1+json",
        "docker.image.rootfs.diff.tar.gzip": "oci.image.layer.v1.tar+gzip",
    }
    for docker_s, oci_s in names.items():
        manifest = manifest.replace(docker_s, oci_s)
    return {"imageManifest": manifest, "imageManifestMediaType": json.loads(manifest)["mediaType"]}


def manifest_of(ecr: Any, repository: str, tag: str) -> str:
    (found,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
    return str(found["imageManifest"])


def test_it_is_pulled_by_tag_and_by_digest(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/pulled")
    name = stack.image("dogs/pulled", "one", os.urandom(2_000_000))
    docker("push", name, config=login)
    image = docker("image", "inspect", name, "--format", "{{.Id}}")
    digest = detail(ecr, "dogs/pulled", "one")["imageDigest"]
    for reference in (name, f"localhost:{stack.port}/dogs/pulled@{digest}"):
        docker("image", "rm", "--force", image)
        docker("pull", reference, config=login)
        assert docker("image", "inspect", reference, "--format", "{{.Id}}") == image
    docker("tag", image, name)


def test_a_second_push_sends_nothing(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/again")
    name = stack.image("dogs/again", "one", os.urandom(1_000_000))
    assert "Pushed" in docker("push", name, config=login)
    first = detail(ecr, "dogs/again", "one")
    second = docker("push", name, config=login)
    assert "Layer already exists" in second
    assert "Pushed" not in second
    assert detail(ecr, "dogs/again", "one") == first


def test_a_layer_of_another_repository_is_mounted_not_sent(stack: RegistryStack, ecr: Any, login: Path) -> None:
    for name in ("mount/from", "mount/to"):
        ecr.create_repository(repositoryName=name)
    name = stack.image("mount/from", "one", os.urandom(1_000_000))
    docker("push", name, config=login)
    other = f"localhost:{stack.port}/mount/to:one"
    docker("tag", name, other)
    assert "Mounted from mount/from" in docker("push", other, config=login)


def test_without_the_password_nothing_is_pushed_or_pulled(stack: RegistryStack, ecr: Any, tmp_path: Path) -> None:
    ecr.create_repository(repositoryName="dogs/closed")
    host = f"localhost:{stack.port}"
    for password in ("wrong", stack.password()[:-8] + "AAAAAAA="):
        done = run("login", "--username", "AWS", "--password-stdin", host, config=tmp_path, text=password)
        assert done.returncode == 1
        assert "401 Unauthorized" in done.stderr
    name = stack.image("dogs/closed", "one", b"x")
    for command in ("push", "pull"):
        done = run(command, name, config=tmp_path)
        assert done.returncode == 1
        assert "no basic auth credentials" in done.stderr
    assert ecr.list_images(repositoryName="dogs/closed")["imageIds"] == []


def test_docker_may_do_what_the_user_of_the_token_may_do_now(stack: RegistryStack, ecr: Any) -> None:
    ecr.create_repository(repositoryName="dogs/rights")
    repository = f"arn:aws:ecr:{REGION}:000000000000:repository/dogs/rights"
    token = allow("ecr:GetAuthorizationToken")
    user = make_user(Gateway(stack.localstack), token)
    login, name = stack.log_in(ecr=user.client("ecr")), stack.image("dogs/rights", "one", b"mine")
    done = run("push", name, config=login)
    sentence = f"User: {user.arn} is not authorized to perform: ecr:{{}} on resource: {repository}"
    assert done.returncode != 0
    assert sentence.split("{}", maxsplit=1)[0] in done.stdout + done.stderr
    pushes = [
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "BatchCheckLayerAvailability",
        "PutImage",
    ]
    user.allow(token, allow([f"ecr:{action}" for action in pushes], repository))
    docker("push", name, config=login)
    pulled = run("pull", name, config=login)
    assert pulled.returncode != 0
    assert sentence.format("BatchGetImage") in pulled.stdout + pulled.stderr
    user.allow(token, allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repository))
    docker("pull", name, config=login)
    stack.client("iam").delete_access_key(UserName=user.name, AccessKeyId=user.access_key_id)
    assert "security token" in run("pull", name, config=login).stderr


def test_lambda_pulls_only_what_the_repository_lets_it(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/function")
    name = stack.image("dogs/function", "one", b"mine")
    docker("push", name, config=login)
    repository = f"arn:aws:ecr:{REGION}:000000000000:repository/dogs/function"
    role = make_role(Gateway(stack.localstack), "function", "lambda.amazonaws.com")
    creates = [allow("lambda:*"), allow("iam:PassRole", role)]
    user = make_user(Gateway(stack.localstack), *creates)
    code = {"ImageUri": name.replace(f"localhost:{stack.port}", f"000000000000.dkr.ecr.{REGION}.amazonaws.com")}
    request = {"FunctionName": "dogs", "Role": role, "PackageType": "Image", "Code": code}
    create = user.client("lambda").create_function
    assert "ecr:BatchGetImage" in refused(create, **request)[1]
    pulls = allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], repository)
    user.allow(*creates, pulls)
    assert refused(create, **request) == (
        "AccessDeniedException",
        "Lambda does not have permission to access the ECR image. Check the ECR permissions.",
    )
    user.allow(*creates, pulls, allow(["ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy"], repository))
    create(**request)
    (statement,) = json.loads(ecr.get_repository_policy(repositoryName="dogs/function")["policyText"])["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    stack.client("lambda").delete_function(FunctionName="dogs")


def test_a_repository_must_be_there_before_the_push(stack: RegistryStack, login: Path) -> None:
    done = run("push", stack.image("nobody/made-it", "one", b"x"), config=login)
    assert done.returncode == 1
    assert (
        "name unknown: The repository with name 'nobody/made-it' does not exist in the registry with id" in done.stderr
    )


def test_an_immutable_tag_stays(stack: RegistryStack, ecr: Any, login: Path) -> None:
    rule = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "lat*"}],
    }
    ecr.create_repository(repositoryName="dogs/fixed", **rule)
    for tag in ("v1", "latest"):
        docker("push", stack.image("dogs/fixed", tag, b"first"), config=login)
    docker("push", f"localhost:{stack.port}/dogs/fixed:v1", config=login)
    before = detail(ecr, "dogs/fixed", "v1")
    done = run("push", stack.image("dogs/fixed", "v1", b"second"), config=login)
    assert done.returncode == 1
    sentence = "The image tag 'v1' already exists in the 'dogs/fixed' repository and cannot be overwritten because"
    assert sentence in done.stderr
    assert detail(ecr, "dogs/fixed", "v1") == before
    docker("push", stack.image("dogs/fixed", "latest", b"third"), config=login)
    assert detail(ecr, "dogs/fixed", "latest")["imageDigest"] != before["imageDigest"]
    ecr.put_image_tag_mutability(repositoryName="dogs/fixed", imageTagMutability="MUTABLE")
    docker("push", f"localhost:{stack.port}/dogs/fixed:v1", config=login)
    ids = ecr.list_images(repositoryName="dogs/fixed", filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert {"imageDigest": before["imageDigest"]} in ids


def test_an_image_gets_another_tag_and_loses_it(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/tags")
    docker("push", stack.image("dogs/tags", "one", b"tags"), config=login)
    there = ecr.batch_get_image(repositoryName="dogs/tags", imageIds=[{"imageTag": "one"}])["images"][0]
    put = {"repositoryName": "dogs/tags", "imageManifest": there["imageManifest"]}
    image = ecr.put_image(**put, imageTag="two", imageManifestMediaType=there["imageManifestMediaType"])["image"]
    digest = there["imageId"]["imageDigest"]
    assert image["imageId"] == {"imageDigest": digest, "imageTag": "two"}
    assert refused(ecr.put_image, **put, imageTag="two")[0] == "ImageAlreadyExistsException"
    wrong = {**put, "imageDigest": "sha256:" + "0" * 64, "imageTag": "three"}
    assert refused(ecr.put_image, **wrong)[0] == "ImageDigestDoesNotMatchException"
    strange = {**put, "imageManifest": there["imageManifest"].replace("sha256:", "sha256:", 1).replace("1", "2")}
    assert refused(ecr.put_image, **strange)[0] in ("LayersNotFoundException", "InvalidParameterException")
    docker("pull", f"localhost:{stack.port}/dogs/tags:two", config=login)
    gone = ecr.batch_delete_image(repositoryName="dogs/tags", imageIds=[{"imageTag": "two"}, {"imageTag": "never"}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "two"}]
    assert [item["failureCode"] for item in gone["failures"]] == ["ImageNotFound"]
    assert detail(ecr, "dogs/tags", "one")["imageTags"] == ["one"]
    ecr.batch_delete_image(repositoryName="dogs/tags", imageIds=[{"imageDigest": digest}])
    assert "manifest unknown" in run("pull", f"localhost:{stack.port}/dogs/tags:one", config=login).stderr
    code, message = refused(ecr.describe_images, repositoryName="dogs/tags", imageIds=[{"imageTag": "one"}])
    assert code == "ImageNotFoundException"
    assert message.startswith("The image with imageId {imageDigest:'null', imageTag:'one'} does not exist within")


def test_two_accounts_share_nothing(stack: RegistryStack, ecr: Any, login: Path) -> None:
    other = stack.client("ecr", OTHER)
    ecr.create_repository(repositoryName="shared/name")
    name = stack.image("shared/name", "one", b"mine")
    docker("push", name, config=login)
    theirs = stack.log_in(OTHER)
    done = run("pull", name, config=theirs)
    assert "The repository with name 'shared/name' does not exist in the registry with id '111111111111'" in done.stderr
    other.create_repository(repositoryName="shared/name")
    assert "manifest unknown" in run("pull", name, config=theirs).stderr
    assert other.list_images(repositoryName="shared/name")["imageIds"] == []
    docker("push", stack.image("shared/name", "one", b"theirs"), config=theirs)
    digests = {detail(client, "shared/name", "one")["imageDigest"] for client in (ecr, other)}
    assert len(digests) == 2


def test_a_repository_with_images_goes_only_by_force(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/gone")
    name = stack.image("dogs/gone", "one", b"gone")
    docker("push", name, config=login)
    assert refused(ecr.delete_repository, repositoryName="dogs/gone")[0] == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName="dogs/gone", force=True)
    assert refused(ecr.describe_images, repositoryName="dogs/gone")[0] == "RepositoryNotFoundException"
    ecr.create_repository(repositoryName="dogs/gone")
    assert ecr.describe_images(repositoryName="dogs/gone")["imageDetails"] == []
    assert "manifest unknown" in run("pull", name, config=login).stderr


def test_a_lifecycle_policy_expires_after_a_push(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/old")
    name = {"repositoryName": "dogs/old"}
    for tag in ("one", "two"):
        docker("push", stack.image("dogs/old", tag, tag.encode()), config=login)
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}
    text = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    ecr.start_lifecycle_policy_preview(**name, lifecyclePolicyText=text)
    preview = ecr.get_lifecycle_policy_preview(**name)
    assert [result["imageTags"] for result in preview["previewResults"]] == [["one"]]
    assert len(ecr.list_images(**name)["imageIds"]) == 2
    ecr.put_lifecycle_policy(**name, lifecyclePolicyText=text)
    assert ecr.get_lifecycle_policy(**name)["lifecyclePolicyText"] == text
    assert [item["imageTag"] for item in ecr.list_images(**name)["imageIds"]] == ["two"]
    docker("push", stack.image("dogs/old", "three", b"three"), config=login)
    assert [item["imageTag"] for item in ecr.list_images(**name)["imageIds"]] == ["three"]
    code, message = refused(ecr.put_lifecycle_policy, **name, lifecyclePolicyText=text.replace("any", "all"))
    assert code == "InvalidParameterException"
    assert "rules[0].selection.tagStatus must be tagged, untagged or any" in message
    ecr.delete_lifecycle_policy(**name)
    assert refused(ecr.get_lifecycle_policy, **name)[0] == "LifecyclePolicyNotFoundException"


def test_the_images_of_an_index_outlive_the_policy_until_it_comes(stack: RegistryStack, ecr: Any, login: Path) -> None:
    name = {"repositoryName": "dogs/index"}
    ecr.create_repository(**name)
    docker("push", stack.image("dogs/index", "base", b"index"), config=login)
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1}
    text = json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})
    ecr.put_lifecycle_policy(**name, lifecyclePolicyText=text)
    (base,) = ecr.batch_get_image(**name, imageIds=[{"imageTag": "base"}])["images"]
    items: list[dict[str, Any]] = []
    for processor in ("amd64", "arm64"):
        body = base["imageManifest"] + "\n" * (len(items) + 1)
        media_type = base["imageManifestMediaType"]
        put = ecr.put_image(**name, imageManifest=body, imageManifestMediaType=media_type)["image"]
        digest, platform = put["imageId"]["imageDigest"], {"os": "linux", "architecture": processor}
        items.append({"mediaType": media_type, "digest": digest, "size": len(body), "platform": platform})
    kind = "application/vnd.oci.image.index.v1+json"
    body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": items})
    ecr.put_image(**name, imageManifest=body, imageManifestMediaType=kind, imageTag="both")
    found = ecr.batch_get_image(**name, imageIds=[{"imageTag": "both"}, *({"imageDigest": i["digest"]} for i in items)])
    assert (len(found["images"]), found["failures"]) == (3, [])


def test_what_is_set_on_a_repository(stack: RegistryStack, ecr: Any) -> None:
    made = ecr.create_repository(repositoryName="dogs/set", tags=[{"Key": "a", "Value": "1"}])["repository"]
    assert refused(ecr.create_repository, repositoryName="dogs/set")[0] == "RepositoryAlreadyExistsException"
    arn, name = {"resourceArn": made["repositoryArn"]}, {"repositoryName": "dogs/set"}
    ecr.tag_resource(**arn, tags=[{"Key": "b", "Value": "2"}])
    ecr.untag_resource(**arn, tagKeys=["a"])
    assert ecr.list_tags_for_resource(**arn)["tags"] == [{"Key": "b", "Value": "2"}]
    assert refused(ecr.get_repository_policy, **name)[0] == "RepositoryPolicyNotFoundException"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ecr.set_repository_policy(**name, policyText=policy)
    assert ecr.get_repository_policy(**name)["policyText"] == policy
    ecr.delete_repository_policy(**name)
    assert refused(ecr.set_repository_policy, **name, policyText="{}")[0] == "InvalidParameterException"
    ecr.put_image_scanning_configuration(**name, imageScanningConfiguration={"scanOnPush": True})
    found = ecr.describe_repositories(repositoryNames=["dogs/set"])["repositories"][0]
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
    names = [repository["repositoryName"] for page in pages for repository in page["repositories"]]
    assert names == sorted(set(names))
    assert "dogs/set" in names
    ecr.describe_registry()
    assert refused(ecr.start_image_scan, **name, imageId={"imageTag": "x"})[0] == "NotImplementedException"
    assert refused(ecr.create_repository, repositoryName="Dogs")[0] == "InvalidParameterException"


def test_a_job_takes_an_image_only_when_it_was_pushed(stack: RegistryStack, ecr: Any, login: Path) -> None:
    uri = ecr.create_repository(repositoryName="dogs/model")["repository"]["repositoryUri"]
    docker("push", stack.image("dogs/model", "one", b"model"), config=login)
    digest, sagemaker = detail(ecr, "dogs/model", "one")["imageDigest"], stack.client("sagemaker")
    aws = f"000000000000.dkr.ecr.{REGION}.amazonaws.com/dogs/model"
    role = {"ExecutionRoleArn": make_role(Gateway(stack.localstack), "models")}
    for index, image in enumerate((f"{uri}:one", f"{aws}:one", f"{uri}@{digest}")):
        sagemaker.create_model(ModelName=f"pushed-{index}", PrimaryContainer={"Image": image}, **role)
    for image in (f"{uri}:two", f"{aws}:two", f"{uri}@sha256:{'0' * 64}"):
        request = {"ModelName": "not-pushed", "PrimaryContainer": {"Image": image}, **role}
        assert refused(sagemaker.create_model, **request) == (
            "ValidationException",
            f"Requested image {image} not found. Stagemaker: push the image to {uri} (docker push to a name of "
            "amazonaws.com goes to AWS) first.",
        )


def test_a_model_takes_docker_s_manifest_only_and_a_function_no_index(
    stack: RegistryStack, ecr: Any, login: Path
) -> None:
    ecr.create_repository(repositoryName="dogs/types")
    docker("push", stack.image("dogs/types", "docker", b"types"), config=login)
    oci = as_oci(manifest_of(ecr, "dogs/types", "docker"))
    digest = ecr.put_image(repositoryName="dogs/types", imageTag="oci", **oci)["image"]["imageId"]["imageDigest"]
    item = {"mediaType": oci["imageManifestMediaType"], "digest": digest, "size": len(oci["imageManifest"])}
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [item]})
    ecr.put_image(repositoryName="dogs/types", imageManifest=index, imageManifestMediaType=kind, imageTag="index")
    gateway, sagemaker, functions = Gateway(stack.localstack), stack.client("sagemaker"), stack.client("lambda")
    repository = f"000000000000.dkr.ecr.{REGION}.amazonaws.com/dogs/types"
    role = {"ExecutionRoleArn": make_role(gateway, "types-model")}
    sagemaker.create_model(ModelName="docker", PrimaryContainer={"Image": f"{repository}:docker"}, **role)
    for tag, media_type in (("oci", oci["imageManifestMediaType"]), ("index", kind)):
        request = {"ModelName": tag, "PrimaryContainer": {"Image": f"{repository}:{tag}"}, **role}
        code, message = refused(sagemaker.create_model, **request)
        assert code == "ValidationException"
        assert message.startswith(f"Unsupported manifest media type {media_type} for image {repository}:{tag}. Ensure ")
    function = {"PackageType": "Image", "Role": make_role(gateway, "types-function", "lambda.amazonaws.com")}
    assert refused(
        functions.create_function, FunctionName="index", Code={"ImageUri": f"{repository}:index"}, **function
    ) == (
        "InvalidParameterValueException",
        f"The image manifest, config or layer media type for the source image {repository}:index is not supported.",
    )
    functions.create_function(FunctionName="oci", Code={"ImageUri": f"{repository}:oci"}, **function)
    functions.delete_function(FunctionName="oci")


def test_a_job_runs_the_image_that_was_pushed(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/trainer")
    name = f"localhost:{stack.port}/dogs/trainer:one"
    docker("tag", "python:3.13-slim", name)
    try:
        docker("push", name, config=login)
        oci = as_oci(manifest_of(ecr, "dogs/trainer", "one"))  # training takes OCI's manifests, too
        digest = ecr.put_image(repositoryName="dogs/trainer", imageTag="oci", **oci)["image"]["imageId"]["imageDigest"]
    finally:
        docker("image", "rm", name)
    gateway = Gateway(stack.localstack)
    make_bucket(gateway, "data", {"train/1.txt": b"data"})
    pulled = f"localhost:{stack.port}/dogs/trainer@{digest}"
    try:
        request = training_request("pulled", make_role(gateway, "trainer"))
        request["AlgorithmSpecification"] = {
            "TrainingImage": f"000000000000.dkr.ecr.{REGION}.amazonaws.com/dogs/trainer:oci",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", "open('/opt/ml/model/made', 'w').write('by the pulled image')"],
        }
        sagemaker = stack.client("sagemaker")
        sagemaker.create_training_job(**request)
        job = ended(sagemaker, "pulled")
        assert job["TrainingJobStatus"] == "Completed", job
        assert docker("image", "inspect", pulled, "--format", "{{index .RepoDigests 0}}")
    finally:
        run("image", "rm", pulled)


def test_the_registry_dies_in_mid_push(stack: RegistryStack, ecr: Any, login: Path) -> None:
    ecr.create_repository(repositoryName="dogs/cut")
    basic = b64encode(f"AWS:{stack.password()}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    try:
        connection.request("POST", "/v2/dogs/cut/blobs/uploads/", headers={"Authorization": f"Basic {basic}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
        location = answer.headers["Location"]
        assert location.startswith("/v2/dogs/cut/blobs/uploads/")
        connection.putrequest("PATCH", location)
        for name, value in (("Authorization", f"Basic {basic}"), ("Content-Length", str(64 << 20))):
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(bytes(1 << 20))
        stack.service.kill()
        try:
            for _ in range(63):
                connection.send(bytes(1 << 20))
        except OSError:
            pass  # it has answered and hung up
        answer = connection.getresponse()
        error = json.loads(answer.read())["errors"][0]
        assert (answer.status, error["code"]) == (503, "UNAVAILABLE")
        assert error["message"].startswith("The registry service behind ECR does not answer")
        assert answer.reason == error["message"]
        connection.close()
        assert ecr.list_images(repositoryName="dogs/cut")["imageIds"] == []
        done = run("pull", f"localhost:{stack.port}/dogs/cut:one", config=login)
        assert "manifest unknown" in done.stderr  # what is not there is told from the records
        manifest = {"schemaVersion": 2, "layers": [], "config": {"digest": "sha256:" + "0" * 64, "size": 1}}
        kind = "application/vnd.oci.image.manifest.v1+json"
        put = {"repositoryName": "dogs/cut", "imageManifest": json.dumps({**manifest, "mediaType": kind})}
        assert refused(ecr.put_image, **put)[0] == "ServerException"
    finally:
        connection.close()
        stack.service.start()
    docker("push", stack.image("dogs/cut", "one", os.urandom(1_000_000)), config=login)
    assert detail(ecr, "dogs/cut", "one")["imageTags"] == ["one"]


REPOSITORY = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.100" }
  }
}

resource "aws_ecr_repository" "one" {
  name                 = "dogs/terraform"
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration { scan_on_push = true }
  tags = { team = "dogs" }
}

resource "aws_ecr_lifecycle_policy" "one" {
  repository = aws_ecr_repository.one.name
  policy     = jsonencode({ rules = [{
    rulePriority = 1
    selection    = { tagStatus = "untagged", countType = "imageCountMoreThan", countNumber = 3 }
    action       = { type = "expire" }
  }] })
}

resource "aws_ecr_repository_policy" "one" {
  repository = aws_ecr_repository.one.name
  policy     = jsonencode({ Version = "2012-10-17", Statement = [{
    Effect    = "Allow"
    Principal = { Service = "lambda.amazonaws.com" }
    Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
  }] })
}
"""


@NEEDS_TERRAFORM
def test_terraform_keeps_a_repository(stack: RegistryStack, ecr: Any) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    environ = {**os.environ, **keys, "AWS_ENDPOINT_URL": stack.localstack.endpoint}

    def terraform(*command: str) -> None:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]

    with applied(stack.folder / "terraform", REPOSITORY, terraform):
        (found,) = ecr.describe_repositories(repositoryNames=["dogs/terraform"])["repositories"]
        assert (found["imageTagMutability"], found["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    assert refused(ecr.describe_repositories, repositoryNames=["dogs/terraform"])[0] == "RepositoryNotFoundException"


def made(stack: RegistryStack, revision: str) -> str:
    """An image as scripts/build makes it of a commit; its name for `push`."""
    name = f"test-{uuid4().hex[:8]}"
    change = f"LABEL org.opencontainers.image.revision={revision}"
    stack.made_image(f"stagemaker/{name}:latest", os.urandom(500_000), change)
    return name


def tags(ecr: Any, name: str) -> list[str]:
    ids = ecr.list_images(repositoryName=f"stagemaker/{name}")["imageIds"]
    return sorted(image_id.get("imageTag", "") for image_id in ids)


def test_make_push(stack: RegistryStack, ecr: Any) -> None:
    name = made(stack, "abc1234")
    code, said = stack.push(name)
    assert code == 0, said
    image = detail(ecr, f"stagemaker/{name}", "abc1234")
    assert f"localhost:{stack.port}/stagemaker/{name}:abc1234" in said
    assert image["imageDigest"] in said
    assert (tags(ecr, name), image["imageTags"]) == (["abc1234", "latest"], ["abc1234", "latest"])
    digest = docker("image", "inspect", f"stagemaker/{name}:latest", "--format", "{{index .RepoDigests 0}}")
    assert digest == f"localhost:{stack.port}/stagemaker/{name}@{image['imageDigest']}"
    (repository,) = ecr.describe_repositories(repositoryNames=[f"stagemaker/{name}"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert "rules" in json.loads(ecr.get_lifecycle_policy(repositoryName=f"stagemaker/{name}")["lifecyclePolicyText"])
    code, said = stack.push(name)
    assert code == 0, said
    assert "Pushed\n" not in said.replace("Pushed \n", "")
    assert "(repository unchanged, image of this tag there already)" in said
    code, said = stack.push("never-built")
    assert code == 1
    assert "There is no image stagemaker/never-built:latest." in said
    code, said = stack.push("--delete", name)
    assert (code, f"repository stagemaker/{name} with its images" in said) == (1, True)
    assert tags(ecr, name) == ["abc1234", "latest"]
    code, said = stack.push("--delete", "--yes", name)
    assert (code, "deleted: repository stagemaker/" + name in said) == (0, True)
    code, said = stack.push("--delete", name)
    assert (code, "Nothing was there to delete." in said) == (0, True)
    stack.service.kill()
    try:
        code, said = stack.push(name)
    finally:
        stack.service.start()
    assert code == 1, said
    assert "does not let us in, or does not answer" in said
    assert list(stack.temporary.iterdir()) == []


def test_what_is_in_no_commit_is_pushed_when_told(stack: RegistryStack, ecr: Any) -> None:
    name = made(stack, "abc1234-dirty")
    code, said = stack.push(name)
    assert (code, "--dirty, or DIRTY=1 make push" in said) == (1, True)
    code, said = stack.push("--dirty", name)
    assert code == 0, said
    image_id = docker("image", "inspect", f"stagemaker/{name}:latest", "--format", "{{.Id}}").removeprefix("sha256:")
    assert tags(ecr, name) == [f"abc1234-dirty-{image_id[:8]}", "latest"]
    ecr.delete_repository(repositoryName=f"stagemaker/{name}", force=True)


def test_two_pushes_at_once_end_as_one(stack: RegistryStack, ecr: Any) -> None:
    name = made(stack, "abc1234")
    with ThreadPoolExecutor() as pool:
        for code, said in pool.map(lambda _: stack.push(name), range(2)):
            assert code == 0, said
    assert tags(ecr, name) == ["abc1234", "latest"]
    ecr.delete_repository(repositoryName=f"stagemaker/{name}", force=True)


def test_a_push_outlives_its_password_and_a_registry_that_falters(stack: RegistryStack, ecr: Any) -> None:
    name = made(stack, "abc1234")
    with ecr_proxy(stack.localstack.endpoint, stack.port) as proxy:
        proxy.expires_after_uploads = 2  # its layer and its configuration
        proxy.cuts = 1
        proxy.manifest_answers = [429, 503]
        code, said = stack.push(name, endpoint=proxy.url)
    assert code == 0, said
    assert said.count("It is tried again in") == 3
    assert proxy.cuts == 0
    assert not proxy.manifest_answers
    assert proxy.expired_answers > 0
    assert len(proxy.uploaded) == len(set(proxy.uploaded)) == 2
    assert detail(ecr, f"stagemaker/{name}", "abc1234")["imageTags"] == ["abc1234", "latest"]
    ecr.delete_repository(repositoryName=f"stagemaker/{name}", force=True)


@pytest.mark.parametrize("operation", own_operations()["ecr"])
def test_every_answer_keeps_botocores_model(stack: RegistryStack, operation: str) -> None:
    """After the others: they call every operation."""
    assert stack.seen[operation], f"no test calls {operation}"
    for shape, members in stack.seen[operation]:
        if members.get("imageIds") == []:
            members = {**members, "imageIds": [{}]}  # the model wants one at least, and AWS answers none
        report = ParamValidator().validate(members, shape)
        assert not report.has_errors(), report.generate_report()
        assert list(violations(shape, members)) == []
