"""The front asks for every request what the holder of its token may do."""

import base64
import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref
from stagemaker.registry.repositories import with_lambda
from tests.unit.plugin.registry.ecr_environment import EcrEnvironment
from tests.unit.plugin.registry.small_registry import small_registry

DIGEST = f"sha256:{'a' * 64}"


@dataclass
class Rules:
    """Rights of the holder `AKIA1`: all that is not in `refused`, by action and repository."""

    refused: set[tuple[str, str]] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def holder(self) -> str:
        """The one."""
        return "AKIA1"

    def check(self, holder: str, actions: Sequence[str], repository: Ref) -> None:
        """ApiError for what is refused."""
        self.asked += [(holder, action, repository.name) for action in actions]
        for action in actions:
            if (action, repository.name) in self.refused:
                raise ApiError("AccessDeniedException", f"not authorized to perform: {action}")


@pytest.fixture
def rules() -> Rules:
    return Rules()


@pytest.fixture
def environment(rules: Rules) -> Iterator[EcrEnvironment]:
    """With the repositories `dogs` and `cats`."""
    with small_registry() as service:
        made = EcrEnvironment(service, rules)
        for name in ("dogs", "cats"):
            made.call("create_repository", repositoryName=name)
        yield made
        made.supervisor.close()


def ask(environment: EcrEnvironment, method: str, path: str) -> tuple[int, bytes]:
    """With the token that GetAuthorizationToken gives."""
    assert environment.ecr.front is not None
    token = environment.call("get_authorization_token")["authorizationData"][0]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    with closing(http.client.HTTPConnection("127.0.0.1", environment.ecr.front.port, timeout=60)) as connection:
        connection.request(method, path, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("method", "path", "actions"),
    [
        ("GET", "/v2/", []),
        ("GET", "/v2/dogs/tags/list", ["ecr:ListImages"]),
        ("GET", "/v2/dogs/manifests/one", ["ecr:BatchGetImage"]),
        ("HEAD", "/v2/dogs/manifests/one", ["ecr:BatchGetImage"]),
        ("PUT", "/v2/dogs/manifests/one", ["ecr:PutImage"]),
        ("GET", f"/v2/dogs/blobs/{DIGEST}", ["ecr:GetDownloadUrlForLayer"]),
        ("HEAD", f"/v2/dogs/blobs/{DIGEST}", ["ecr:BatchCheckLayerAvailability"]),
        ("POST", "/v2/dogs/blobs/uploads/", ["ecr:InitiateLayerUpload"]),
        ("PUT", f"/v2/dogs/blobs/uploads/1?digest={DIGEST}", ["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"]),
    ],
)
def test_each_request_asks_for_its_actions(
    environment: EcrEnvironment, rules: Rules, method: str, path: str, actions: list[str]
) -> None:
    ask(environment, method, path)
    assert rules.asked == [("AKIA1", action, "dogs") for action in actions]


def test_a_refusal_is_told_in_the_words_of_aws_also_of_a_repository_that_there_is_not(
    environment: EcrEnvironment, rules: Rules
) -> None:
    for name in ("dogs", "nobody"):
        rules.refused.add(("ecr:InitiateLayerUpload", name))
        status, body = ask(environment, "POST", f"/v2/{name}/blobs/uploads/")
        error = {"code": "DENIED", "message": "not authorized to perform: ecr:InitiateLayerUpload"}
        assert (status, json.loads(body)) == (403, {"errors": [error]})


def test_a_layer_of_a_repository_that_may_not_be_read_is_sent_and_not_mounted(
    environment: EcrEnvironment, rules: Rules
) -> None:
    path, service = f"/v2/dogs/blobs/uploads/?mount={DIGEST}&from=cats", environment.service
    assert service is not None
    assert ask(environment, "POST", path)[0] == 202
    assert "from=" in service.asked[-1]
    rules.refused.add(("ecr:GetDownloadUrlForLayer", "cats"))
    assert ask(environment, "POST", path)[0] == 202
    assert "from=" not in service.asked[-1]


def test_lambda_s_statement_joins_those_of_the_policy_once() -> None:
    own = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    once = with_lambda(json.dumps({"Version": "2012-10-17", "Statement": own}))
    assert [statement["Sid"] for statement in json.loads(once)["Statement"]] == ["own", "LambdaECRImageRetrievalPolicy"]
    assert with_lambda(once) == once
    assert len(json.loads(with_lambda(None))["Statement"]) == 1
