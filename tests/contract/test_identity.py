"""Who signed a request, on a real LocalStack in the mode strict: signatures, access keys, sessions of STS."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stagemaker.access.bodies import WholeBody
from stagemaker.access.callers import root_of
from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.sessions import SUBNET_PROVIDER, Session, Sessions
from stagemaker.access.signature import CHUNKS, EMPTY_SHA256, Sent, read_claim, sign
from stagemaker.adapters.identity import Identity
from stagemaker.adapters.identity_keys import Keys
from stagemaker.settings import RootKey, Settings
from tests.contract.function_stack import zipped
from tests.contract.gateway import REGION, Gateway, make_role, until
from tests.contract.identities import EVERYTHING, client_of, error_of, identity, make_trusting_role, make_user
from tests.contract.raw_http import RawAnswer, ask
from tests.unit.plugin.access.sent import KEY, SECRET, signed

ACCOUNT, OTHER = "000000000000", "444455556666"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
INVALID = "The security token included in the request is invalid."
ECHO = "def handler(event, context):\n    return event.get('requestContext')\n"
# A read of each protocol, and AWS's codes and statuses for an unknown key, a wrong secret and a wrong token.
READS: dict[str, tuple[str, dict[str, str]]] = {
    "sagemaker": ("list_models", {}),
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "sagemaker"}),
    "ecr": ("describe_repositories", {}),
    "logs": ("describe_log_groups", {}),
    "iam": ("list_users", {}),
    "sts": ("get_caller_identity", {}),
    "lambda": ("list_functions", {}),
    "cloudwatch": ("list_metrics", {}),
    "s3": ("list_buckets", {}),
}
JSON = ("UnrecognizedClientException", 400), ("InvalidSignatureException", 400), ("UnrecognizedClientException", 400)
REST = ("UnrecognizedClientException", 403), ("InvalidSignatureException", 403), ("UnrecognizedClientException", 403)
QUERY = ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403), ("InvalidClientTokenId", 403)
S3 = ("InvalidAccessKeyId", 403), ("SignatureDoesNotMatch", 403), ("InvalidToken", 400)
REFUSALS = dict.fromkeys(READS, JSON) | {"iam": QUERY, "sts": QUERY, "lambda": REST, "s3": S3}


@pytest.fixture(scope="module")
def user(strict_gateway: Gateway) -> dict[str, str]:
    """The access key of a user who may do everything."""
    return make_user(strict_gateway, "identified")


@pytest.fixture(scope="module")
def bucket(strict_gateway: Gateway) -> str:
    """The name of an empty bucket."""
    place = {"LocationConstraint": REGION}
    strict_gateway.client("s3").create_bucket(Bucket="identities", CreateBucketConfiguration=place)
    return "identities"


def assume(gateway: Gateway, key: Mapping[str, Any], role: str, name: str = "me", **members: Any) -> Any:
    """What AssumeRole answers to the key's owner."""
    return client_of(gateway, "sts", key).assume_role(RoleArn=role, RoleSessionName=name, **members)


def raw(
    gateway: Gateway, service: str, method: str, target: str, key: Mapping[str, str], body: bytes = b"", **headers: str
) -> tuple[AWSRequest, dict[str, str]]:
    """A request that botocore signed, and its headers. `_` in a header's name is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    request = AWSRequest(method, gateway.url + target, named, body)
    signer(Credentials(key["AccessKeyId"], key["SecretAccessKey"]), service, REGION).add_auth(request)
    return request, dict(request.headers.items())


@pytest.mark.parametrize("service", READS)
def test_who_is_nobody_is_refused_in_the_words_of_the_service(
    strict_gateway: Gateway, user: dict[str, str], service: str
) -> None:
    keys = (
        {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "any"},
        {**user, "SecretAccessKey": "wrong"},
        {**user, "SessionToken": "made up"},
    )
    method, members = READS[service]
    for key, expected in zip(keys, REFUSALS[service], strict=True):
        code, status, message = error_of(getattr(client_of(strict_gateway, service, key), method), **members)
        assert (code, status) == expected
        if code in ("UnrecognizedClientException", "InvalidClientTokenId"):
            assert message == INVALID
    getattr(client_of(strict_gateway, service, user), method)(**members)


def test_an_invocation_is_refused_like_every_other_call(strict_gateway: Gateway, user: dict[str, str]) -> None:
    runtime = client_of(strict_gateway, "sagemaker-runtime", {**user, "SecretAccessKey": "wrong"})
    code, status, _ = error_of(runtime.invoke_endpoint, EndpointName="any", Body=b"x" * 1_000_000)
    assert (code, status) == ("InvalidSignatureException", 403)


def test_the_root_user_has_the_secret_that_everybody_knows_and_those_of_the_settings(strict_gateway: Gateway) -> None:
    assert identity(strict_gateway, {"AccessKeyId": "test", "SecretAccessKey": "test"}) == (ROOT, ACCOUNT, ACCOUNT)
    other = {"AccessKeyId": OTHER, "SecretAccessKey": "test"}
    assert identity(strict_gateway, other) == (f"arn:aws:iam::{OTHER}:root", OTHER, OTHER)
    lab = {"AccessKeyId": "AKIALAB", "SecretAccessKey": "lab/secret+1"}
    assert identity(strict_gateway, lab) == ("arn:aws:iam::111122223333:root", "111122223333", "111122223333")
    for wrong in (other, lab, {"AccessKeyId": "test"}):
        sts = client_of(strict_gateway, "sts", {**wrong, "SecretAccessKey": "stagemaker"})
        assert error_of(sts.get_caller_identity)[0] == "SignatureDoesNotMatch"


def test_a_user_s_key_works_until_it_is_inactive_or_deleted(strict_gateway: Gateway) -> None:
    iam, key = strict_gateway.client("iam"), make_user(strict_gateway, "leaves")
    found = iam.get_user(UserName="leaves")["User"]
    assert identity(strict_gateway, key) == (found["Arn"], found["UserId"], ACCOUNT)
    sts = client_of(strict_gateway, "sts", key)
    name = {"UserName": "leaves", "AccessKeyId": key["AccessKeyId"]}
    iam.update_access_key(**name, Status="Inactive")
    assert error_of(sts.get_caller_identity) == ("InvalidClientTokenId", 403, INVALID)
    iam.update_access_key(**name, Status="Active")
    assert sts.get_caller_identity()["Arn"] == found["Arn"]
    session = client_of(strict_gateway, "sts", sts.get_session_token()["Credentials"])
    assert session.get_caller_identity()["Arn"] == found["Arn"]
    iam.delete_access_key(**name)
    assert error_of(sts.get_caller_identity) == ("InvalidClientTokenId", 403, INVALID)
    assert session.get_caller_identity()["UserId"] == found["UserId"]  # it is the user's, not the key's
    iam.delete_user_policy(UserName="leaves", PolicyName="rights")
    iam.delete_user(UserName="leaves")
    iam.create_user(UserName="leaves")
    assert error_of(session.get_caller_identity) == ("InvalidClientTokenId", 403, INVALID)


def test_a_session_ends_with_its_role(strict_gateway: Gateway, user: dict[str, str]) -> None:
    role = make_trusting_role(strict_gateway, "leaving", ROOT)
    role_id = strict_gateway.client("iam").get_role(RoleName="leaving")["Role"]["RoleId"]
    made = assume(strict_gateway, user, role, "a-session")
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/leaving/a-session"
    assert made["AssumedRoleUser"] == {"Arn": arn, "AssumedRoleId": f"{role_id}:a-session"}
    assert identity(strict_gateway, made["Credentials"]) == (arn, f"{role_id}:a-session", ACCOUNT)
    without = {**made["Credentials"], "SessionToken": None}
    assert error_of(client_of(strict_gateway, "sts", without).get_caller_identity)[0] == "InvalidClientTokenId"
    iam = strict_gateway.client("iam")
    iam.delete_role_policy(RoleName="leaving", PolicyName="rights")
    iam.delete_role(RoleName="leaving")
    make_trusting_role(strict_gateway, "leaving", ROOT)
    sts = client_of(strict_gateway, "sts", made["Credentials"])
    assert error_of(sts.get_caller_identity) == ("InvalidClientTokenId", 403, INVALID)


def test_a_session_lasts_as_long_as_its_role_lets_it(strict_gateway: Gateway, user: dict[str, str]) -> None:
    short = make_trusting_role(strict_gateway, "short", ROOT)
    long = make_trusting_role(strict_gateway, "long", ROOT, MaxSessionDuration=43_200)
    for role, wanted_s, lasts_s in ((short, None, 3600), (short, 900, 900), (long, 43_200, 43_200)):
        begin_s = time.time()
        members: dict[str, Any] = {} if wanted_s is None else {"DurationSeconds": wanted_s}
        expiration_s = assume(strict_gateway, user, role, **members)["Credentials"]["Expiration"].timestamp()
        assert begin_s + lasts_s - 1 <= expiration_s <= time.time() + lasts_s
    refused = error_of(assume, strict_gateway, user, short, DurationSeconds=3601)
    assert refused == (
        "ValidationError", 400, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )  # fmt: skip
    assert error_of(assume, strict_gateway, user, long, DurationSeconds=899)[0] == "ValidationError"
    chained = assume(strict_gateway, user, short)["Credentials"]
    code, _, message = error_of(assume, strict_gateway, chained, long, DurationSeconds=3601)
    assert (code, "1 hour session limit for roles assumed by role chaining" in message) == ("ValidationError", True)
    assert assume(strict_gateway, chained, long, DurationSeconds=3600)["AssumedRoleUser"]["Arn"].endswith("/long/me")


def test_a_role_of_another_account_gives_its_account_s_session(strict_gateway: Gateway, user: dict[str, str]) -> None:
    role = make_trusting_role(strict_gateway, "guest", ROOT, account=OTHER)
    arn, _, account = identity(strict_gateway, assume(strict_gateway, user, role)["Credentials"])
    assert (arn, account) == (f"arn:aws:sts::{OTHER}:assumed-role/guest/me", OTHER)


def test_what_assume_role_refuses(strict_gateway: Gateway, user: dict[str, str]) -> None:
    role = make_trusting_role(strict_gateway, "careful", ROOT)
    missing = f"arn:aws:iam::{ACCOUNT}:role/no-such"
    arn = f"arn:aws:iam::{ACCOUNT}:user/identified"
    code, status, message = error_of(assume, strict_gateway, user, missing)
    assert (code, status) == ("AccessDenied", 403)
    assert message.startswith(f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: {missing}")
    refusals: dict[str, dict[str, Any]] = {
        "MalformedPolicyDocument": {"Policy": "{}"},
        "PackedPolicyTooLarge": {"Policy": json.dumps({"Statement": [], "Id": "x" * 2048})},
        "ValidationError": {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuch"}]},
        "InvalidParameterValue": {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]},
        "NotImplementedException": {"SerialNumber": "arn:aws:iam::000000000000:mfa/x", "TokenCode": "123456"},
    }
    for code, members in refusals.items():
        assert error_of(assume, strict_gateway, user, role, **members)[0] == code
    contexts = [{"ProviderArn": SUBNET_PROVIDER, "ContextAssertion": "subnet-0123456789abcdef0"}]  # the stage's alone
    assert error_of(assume, strict_gateway, user, role, ProvidedContexts=contexts)[0] == "NotImplementedException"
    policy = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    arns = [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
    assert 0 < assume(strict_gateway, user, role, Policy=policy, PolicyArns=arns)["PackedPolicySize"] <= 100


def test_session_and_federation_tokens(strict_gateway: Gateway, user: dict[str, str]) -> None:
    sts = client_of(strict_gateway, "sts", user)
    arn = f"arn:aws:iam::{ACCOUNT}:user/identified"
    token = sts.get_session_token(DurationSeconds=900)["Credentials"]
    assert identity(strict_gateway, token)[0] == arn
    made = sts.get_federation_token(Name="bob", Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
    federated = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
    assert made["FederatedUser"] == {"FederatedUserId": f"{ACCOUNT}:bob", "Arn": federated}
    assert identity(strict_gateway, made["Credentials"]) == (federated, f"{ACCOUNT}:bob", ACCOUNT)
    for key in (token, made["Credentials"]):
        session = client_of(strict_gateway, "sts", key)
        assert error_of(session.get_session_token)[0] == "AccessDenied"


def test_credentials_that_have_ended_are_refused() -> None:
    """By a clock of the test's own: STS gives none for less than 15 minutes."""
    now_s = time.time()
    sessions, times_s = Sessions(), iter((now_s + 9, now_s + 11))
    sessions.add(Session(KEY, SECRET, "token", now_s + 10, root_of(OTHER, KEY), ""), now_s)
    settings = Settings(None, None, Path(), "", iam="strict")
    known = Identity(settings, "of-the-stage", sessions, lambda: next(times_s))
    request = signed("sagemaker", "POST", "http://127.0.0.1/", b"{}", token="token")
    claim, body = read_claim(request), WholeBody()
    assert claim is not None
    assert known.verify(claim, request, body, "sagemaker").principal.account == OTHER
    with pytest.raises(CredentialsRefused) as refused:
        known.verify(claim, request, body, "sagemaker")
    assert refused.value.fault is Fault.EXPIRED_TOKEN


def test_a_secret_of_one_s_own_takes_the_place_of_test() -> None:
    keys = Keys((RootKey("test", "hidden", OTHER),), Sessions(), "internal")
    found = {name: keys.find(name) for name in ("test", ACCOUNT, "nobody")}
    assert [key and (key.secret, key.caller.principal.account) for key in found.values()] == [
        ("hidden", OTHER), ("hidden", ACCOUNT), None,
    ]  # fmt: skip


def test_a_presigned_url_carries_its_signer_for_as_long_as_it_lives(
    strict_gateway: Gateway, user: dict[str, str], bucket: str
) -> None:
    s3 = client_of(strict_gateway, "s3", user, s3={"addressing_style": "path"}, signature_version="s3v4")
    place = {"Bucket": bucket, "Key": "a dir//ø+&=.txt"}

    def fetch(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> RawAnswer:
        return ask(strict_gateway.url, method, url.removeprefix(strict_gateway.url), headers, body)

    put = s3.generate_presigned_url("put_object", Params=place)
    assert fetch(put, "PUT", b"presigned").status == 200
    get = s3.generate_presigned_url("get_object", Params=place)
    assert fetch(get).body == b"presigned"
    wrong = (
        fetch(get, "DELETE"),
        fetch(get.replace("/a%20dir//", "/a%20dir/")),
        fetch(get.replace("Expires=3600", "Expires=604800")),
        fetch(get + "&versionId=x"),
        fetch(get.replace(user["AccessKeyId"], ACCOUNT)),
    )
    assert [answer.status for answer in wrong] == [403] * 5
    assert all(b"<Code>SignatureDoesNotMatch</Code>" in answer.body for answer in wrong)
    assert b"<Code>AccessDenied</Code>" in fetch(put, "PUT", b"x", **{"x-amz-acl": "public-read"}).body
    brief = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=1)
    ended = until(lambda: fetch(brief), lambda answer: answer.status == 403)
    assert b"<Code>AccessDenied</Code>" in ended.body
    assert b"Request has expired" in ended.body


def test_signature_version_2_is_for_what_is_presigned(
    strict_gateway: Gateway, user: dict[str, str], bucket: str
) -> None:
    s3 = client_of(strict_gateway, "s3", user, s3={"addressing_style": "path"}, signature_version="s3")
    code, status, message = error_of(s3.list_objects_v2, Bucket=bucket)
    assert (code, status) == ("InvalidRequest", 400)
    assert "Please use AWS4-HMAC-SHA256." in message
    place = {"Bucket": bucket, "Key": "version 2"}

    def asked(operation: str, method: str, body: bytes = b"", change: str = "") -> RawAnswer:
        url = s3.generate_presigned_url(operation, Params=place)
        assert "&Signature=" in url
        return ask(strict_gateway.url, method, url.removeprefix(strict_gateway.url) + change, {}, body)

    assert asked("put_object", "PUT", b"old").status == 200
    assert asked("get_object", "GET").body == b"old"
    wrong = asked("get_object", "GET", change="&tagging")
    assert (wrong.status, b"<Code>SignatureDoesNotMatch</Code>" in wrong.body) == (403, True)
    assert asked("put_object", "DELETE").status == 403


def chunks(headers: Mapping[str, str], target: str, secret: str, *contents: bytes) -> bytes:
    """A body whose chunks are signed after a request with these headers."""
    head = {name.lower(): (value,) for name, value in headers.items()}
    claim = read_claim(Sent("PUT", target, "", head, ""))
    assert claim is not None
    before, body = claim.signature, b""
    for content in (*contents, b""):
        digest = hashlib.sha256(content).hexdigest()
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{claim.time}\n{claim.scope}\n{before}\n{EMPTY_SHA256}\n{digest}"
        before = sign(claim, text, secret)
        body += f"{len(content):x};chunk-signature={before}\r\n".encode() + content + b"\r\n"
    return body


def test_a_body_in_chunks_is_what_was_signed(strict_gateway: Gateway, user: dict[str, str], bucket: str) -> None:
    target, contents = f"/{bucket}/chunks", (b"a" * 200_000, b"the end")
    length = str(sum(map(len, contents)))
    _, headers = raw(
        strict_gateway, "s3", "PUT", target, user, Content_Encoding="aws-chunked", X_Amz_Decoded_Content_Length=length
    )
    host = urlsplit(strict_gateway.url).netloc
    request = AWSRequest("PUT", strict_gateway.url + target, {**headers, "Host": host})
    for name in ("Authorization", "X-Amz-Content-SHA256", "X-Amz-Date"):
        del request.headers[name]

    class ChunkSigner(S3SigV4Auth):  # type: ignore[misc]
        def payload(self, _request: AWSRequest) -> str:
            return CHUNKS

    ChunkSigner(Credentials(user["AccessKeyId"], user["SecretAccessKey"]), "s3", REGION).add_auth(request)
    signed = dict(request.headers.items())
    body = chunks(signed, target, user["SecretAccessKey"], *contents)
    changed = body.replace(b"the end", b"the and")
    shorter = body[: body.index(b"\r\n7;") + 2] + body[body.index(b"0;chunk") :]
    s3 = strict_gateway.client("s3")
    for wrong, code in ((changed, "SignatureDoesNotMatch"), (shorter, "XAmzContentSHA256Mismatch")):
        answer = ask(strict_gateway.url, "PUT", target, signed, wrong)
        assert f"<Code>{code}</Code>".encode() in answer.body
    assert error_of(s3.head_object, Bucket=bucket, Key="chunks")[0] == "404"
    assert ask(strict_gateway.url, "PUT", target, signed, body).status == 200
    assert s3.get_object(Bucket=bucket, Key="chunks")["Body"].read() == b"".join(contents)


def test_a_body_that_was_changed_is_not_stored(strict_gateway: Gateway, user: dict[str, str], bucket: str) -> None:
    target = f"/{bucket}/changed"
    _, headers = raw(strict_gateway, "s3", "PUT", target, user, b"x" * 500_000)
    answer = ask(strict_gateway.url, "PUT", target, headers, b"y" * 500_000)
    assert (answer.status, b"<Code>XAmzContentSHA256Mismatch</Code>" in answer.body) == (400, True)
    assert error_of(strict_gateway.client("s3").head_object, Bucket=bucket, Key="changed")[0] == "404"
    assert ask(strict_gateway.url, "PUT", target, headers, b"x" * 500_000).status == 200


def form(boundary: str, fields: list[tuple[str, str]]) -> bytes:
    """A form with a file, as browsers send it."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nposted\r\n--{boundary}--\r\n'
    )
    return ("".join(parts) + file).encode()


def test_a_form_is_posted_by_whoever_signed_its_policy(
    strict_gateway: Gateway, user: dict[str, str], bucket: str
) -> None:
    s3 = client_of(strict_gateway, "s3", user, s3={"addressing_style": "path"}, signature_version="s3v4")
    fields: dict[str, str] = s3.generate_presigned_post(bucket, "posted")["fields"]

    def post(*more: tuple[str, str], **changed: str) -> RawAnswer:
        sent = [*{**fields, **changed}.items(), *more]
        return ask(strict_gateway.url, "POST", f"/{bucket}", {"Content-Type": f"{kind}; boundary=b"}, form("b", sent))

    kind = "multipart/form-data"
    policy = json.loads(base64.b64decode(fields["policy"]))
    policy["expiration"] = "2099-01-01T00:00:00Z"
    later = base64.b64encode(json.dumps(policy).encode()).decode()
    assert b"<Code>SignatureDoesNotMatch</Code>" in post(policy=later).body
    assert b"Extra input fields: acl" in post(("acl", "public-read")).body
    assert post(("Key", "other")).status == 403
    assert post(("x-amz-signature", "0" * 64)).status == 403
    assert error_of(strict_gateway.client("s3").head_object, Bucket=bucket, Key="posted")[0] == "404"
    assert post().status == 204
    assert s3.get_object(Bucket=bucket, Key="posted")["Body"].read() == b"posted"


def send_always(client: Any, name: str, value: str) -> None:
    """Have the client send a header with each call."""
    client.meta.events.register("before-call", lambda params, **_: params["headers"].update({name: value}))


def test_nobody_outside_can_pass_for_localstack_itself(strict_gateway: Gateway, user: dict[str, str]) -> None:
    for key in ("__internal_call__", ACCOUNT):
        for header in ("{}", 'x {"service_principal":"lambda"}'):
            sts = client_of(strict_gateway, "sts", {"AccessKeyId": key, "SecretAccessKey": "__internal_call__"})
            send_always(sts, "x-localstack-data", header)
            assert error_of(sts.get_caller_identity)[1] == 403
    iam = client_of(strict_gateway, "iam", user)
    send_always(iam, "x-moto-account-id", OTHER)
    assert "identified" in [each["UserName"] for each in iam.list_users()["Users"]]


def test_a_call_without_a_signature_is_nobody_s(strict_gateway: Gateway) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Host": "iam.amazonaws.com"}
    host = {**headers, "Host": urlsplit(strict_gateway.url).netloc}
    answer = ask(strict_gateway.url, "POST", "/", host, b"Action=ListUsers&Version=2010-05-08")
    assert answer.status == 403
    assert b"MissingAuthenticationToken" in answer.body
    body = f"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=x&WebIdentityToken=abcd&RoleArn={ROOT}"
    web = ask(strict_gateway.url, "POST", "/", host, body.encode())
    assert web.status == 501
    assert b"AssumeRoleWithWebIdentity" in web.body


@pytest.fixture(scope="module")
def url(strict_gateway: Gateway) -> Iterator[str]:
    """Of a function that only signed calls reach."""
    role = make_role(strict_gateway, "of-a-url", "lambda.amazonaws.com", policy=EVERYTHING)
    functions = strict_gateway.client("lambda")
    code = {"ZipFile": zipped(ECHO)}
    functions.create_function(
        FunctionName="of-a-url", Role=role, Code=code, Runtime="python3.13", Handler="main.handler", Timeout=30
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="of-a-url", WaiterConfig={"Delay": 1})
    yield functions.create_function_url_config(FunctionName="of-a-url", AuthType="AWS_IAM")["FunctionUrl"]
    functions.delete_function(FunctionName="of-a-url")


def test_a_function_url_of_aws_iam_knows_who_calls(strict_gateway: Gateway, user: dict[str, str], url: str) -> None:
    def call(key: Mapping[str, str], body: bytes = b"", sent: bytes = b"", service: str = "lambda") -> RawAnswer:
        request = AWSRequest("POST", url, data=body)
        SigV4Auth(Credentials(key["AccessKeyId"], key["SecretAccessKey"]), service, REGION).add_auth(request)
        headers = {"Host": urlsplit(url).netloc, **dict(request.headers.items())}
        return ask(strict_gateway.url, "POST", "/", headers, sent or body)

    context = json.loads(call(user, b"hej").body)
    signer = context["authorizer"]["iam"]
    assert (context["accountId"], signer["userArn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/identified")
    assert (signer["accessKey"], signer["accountId"]) == (user["AccessKeyId"], ACCOUNT)
    refused = {
        "InvalidSignatureException": (call({**user, "SecretAccessKey": "no"}), call(user, b"hej", b"hoj")),
        "UnrecognizedClientException": (call({"AccessKeyId": "AKIANOBODY", "SecretAccessKey": "no"}),),
    }
    for code, answers in refused.items():
        assert [(each.status, each.headers["x-amzn-errortype"]) for each in answers] == [(403, code)] * len(answers)
    assert call(user, service="sagemaker").status == 403
    nobody = make_user(strict_gateway, "without-rights", None)
    answer = call(nobody)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
    assert b"lambda:InvokeFunctionUrl" in answer.body
    iam = strict_gateway.client("iam")
    for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
        assert call(nobody).status == 403
        rights = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}
        iam.put_user_policy(UserName="without-rights", PolicyName=action[7:], PolicyDocument=json.dumps(rights))
    assert call(nobody).status == 200
    unsigned = ask(strict_gateway.url, "POST", "/", {"Host": urlsplit(url).netloc})
    assert (unsigned.status, unsigned.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


def test_the_address_of_a_function_s_code_is_signed_by_localstack(strict_gateway: Gateway, url: str) -> None:
    assert url
    code = strict_gateway.client("lambda").get_function(FunctionName="of-a-url")["Code"]["Location"]
    parts = urlsplit(code)
    place = f"{parts.path}?{parts.query}"
    assert ask(strict_gateway.url, "GET", place, {"Host": parts.netloc}).body.startswith(b"PK")
    changed = ask(strict_gateway.url, "GET", place.replace("Expires=3600", "Expires=3601"), {"Host": parts.netloc})
    assert changed.status == 403


def test_a_function_s_queue_is_read_with_the_rights_of_its_role(strict_gateway: Gateway, url: str) -> None:
    assert url
    sqs, functions = strict_gateway.client("sqs"), strict_gateway.client("lambda")
    queue = sqs.create_queue(QueueName="of-a-function")["QueueUrl"]

    def attribute(name: str) -> str:
        return str(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])

    mapping = functions.create_event_source_mapping(EventSourceArn=attribute("QueueArn"), FunctionName="of-a-url")
    sqs.send_message(QueueUrl=queue, MessageBody="hej")
    waiting = "ApproximateNumberOfMessages"
    until(lambda: (attribute(waiting), attribute(f"{waiting}NotVisible")), lambda counts: counts == ("0", "0"))
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def test_localstack_s_own_calls_go_on(strict_gateway: Gateway, bucket: str) -> None:
    """S3 tells a queue of a new object, and CloudFormation makes a queue: both call other services."""
    sqs, s3 = strict_gateway.client("sqs"), strict_gateway.client("s3")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
              "Action": "sqs:SendMessage", "Resource": arn}}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)
    s3.put_object(Bucket=bucket, Key="new", Body=b"new")
    until(
        lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []),
        lambda messages: any('"ObjectCreated:Put"' in message["Body"] for message in messages),
    )
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    template = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "formed"}}}})
    formation = strict_gateway.client("cloudformation")
    formation.create_stack(StackName="identities", TemplateBody=template)
    formation.get_waiter("stack_create_complete").wait(StackName="identities", WaiterConfig={"Delay": 1})
    assert sqs.get_queue_url(QueueName="formed")["QueueUrl"]
