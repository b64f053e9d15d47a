"""Attempts to get past the decision on access: none passes.

Each reaches for a secret, or for a change, that its caller may not have. It passes when the answer is no error or has
the secret in it. Whether the error is AccessDenied, one of the signature or one of the request is not asked here.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import cbor2
import pytest
from botocore.auth import SigV4Auth

from tests.contract.evasion_lab import (
    ACCOUNT,
    ADMIN_ROLE,
    BUCKET,
    FLAG,
    FUNCTION,
    FUNCTION_ARN,
    GROUP,
    MODEL,
    MODEL_ARN,
    NAMESPACE,
    OTHER_ACCOUNT,
    OTHER_BUCKET,
    QUEUE,
    REPOSITORY,
    SECRET_KEY,
    SECRET_ROLE,
    Keys,
    Lab,
    Signed,
    make_lab,
)  # fmt: skip
from tests.contract.gateway import REGION, SERVER, Gateway
from tests.contract.raw_http import RawAnswer

type Attempt = Callable[[Lab], Signed]

SECRET, OPEN = f"/{BUCKET}/{SECRET_KEY}", f"/{BUCKET}/public/open"
ROOT = Keys("test", "test")
WRONG = "wrong-secret"
INVOKE = "/2015-03-31/functions/{}/invocations"
_S3_NS = "http://s3.amazonaws.com/doc/2006-03-01/"


@pytest.fixture(scope="module")
def lab(strict_gateway: Gateway) -> Lab:
    """Everybody whom the attempts need."""
    return make_lab(strict_gateway)


def passes(answer: RawAnswer) -> bool:
    """Whether the caller got what is forbidden. S3 answers to several deletions with their errors."""
    return FLAG in answer.body or (answer.status < 400 and b"<Error>" not in answer.body)


def get(keys: Callable[[Lab], Keys], target: str = SECRET, **headers: str) -> Attempt:
    """A well signed GET of S3."""
    return lambda lab: lab.sign(keys(lab), "s3", "GET", target, {k.replace("_", "-"): v for k, v in headers.items()})


def few(lab: Lab) -> Keys:
    return lab.few


def most(lab: Lab) -> Keys:
    return lab.most


def describe(lab: Lab, keys: Keys, name: str = MODEL, **more: Any) -> Signed:
    """DescribeModel, whose answer has the secret in the model's environment."""
    return lab.json_call(keys, "DescribeModel", {"ModelName": name}, **more)


def authorization(lab: Lab, text: str) -> Signed:
    """A GET of the secret object with this header in place of a signature."""
    return lab.sign(lab.few, "s3", "GET", SECRET).changed({"Authorization": text})


def scope(key_id: str, service: str = "s3") -> str:
    return f"{key_id}/20260101/{REGION}/{service}/aws4_request"


def invoke(name: str, query: str = "") -> Attempt:
    """Of the function by the one who may do everything but that."""
    return lambda lab: lab.sign(lab.most, "lambda", "POST", INVOKE.format(name) + query, body=b"{}")


def metric_data(lab: Lab, protocol: str) -> Signed:
    """PutMetricData into the forbidden namespace."""
    request = {"Namespace": NAMESPACE, "MetricData": [{"MetricName": "m", "Value": 1.0}]}
    if protocol == "query":
        members = {"Namespace": NAMESPACE, "MetricData.member.1.MetricName": "m", "MetricData.member.1.Value": "1"}
        return lab.query_call(lab.most, "monitoring", "2010-08-01", "PutMetricData", **members)
    if protocol == "json":
        target = {"target_prefix": "GraniteServiceVersion20100801", "version": "1.0", "service": "monitoring"}
        return lab.json_call(lab.most, "PutMetricData", request, **target)
    headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "Accept": "application/cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    return lab.sign(lab.most, "monitoring", "POST", path, headers, cbor2.dumps(request))


def form_upload(lab: Lab, key: str, *, signed_key: str | None = None, keys: Keys | None = None) -> Signed:
    """A browser's upload by a form: its policy is signed, here for `signed_key`, or nothing is."""
    fields = {"key": key}
    if keys is not None:
        made = lab.client(keys, "s3").generate_presigned_post(BUCKET, signed_key or key)
        fields = {**made["fields"], "key": key}
    lines = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nwritten\r\n--x--\r\n'
    body = ("".join(lines) + file).encode()
    return Signed("POST", f"/{BUCKET}", {"Content-Type": "multipart/form-data; boundary=x"}, body)


def half_signed(lab: Lab, signed: Signed, header: str) -> Signed:
    """Signed again, by one with all rights, without this header, which is sent all the same."""
    new = ("x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "authorization", header.lower())
    kept = {name: value for name, value in signed.headers.items() if name.lower() not in new}
    service = signed.headers["Authorization"].split("/")[3]
    again = lab.sign(lab.admin_session, service, signed.method, signed.target, kept, signed.body)
    return again.changed({header: signed.headers[header]})


def with_query(signed: Signed, **query: str) -> Signed:
    """With more of a query, after the signature was made."""
    sign = "&" if "?" in signed.target else "?"
    return signed.changed(target=f"{signed.target}{sign}{urlencode(query)}")


def iam(lab: Lab, keys: Keys, action: str, **members: str) -> Signed:
    return lab.query_call(keys, "iam", "2010-05-08", action, **members)


def function_url(lab: Lab, keys: Keys, service: str = "lambda", path: str = "/") -> Signed:
    """A call of the function's address, whose host is signed."""
    host = urlsplit(lab.function_url).netloc
    return lab.sign(keys, service, "GET", path, {"Host": host}, region=REGION)


def chunked(lab: Lab) -> Signed:
    """An upload in chunks, of which only the head is signed well."""
    headers = {
        "X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length": "7",
        "Content-Encoding": "aws-chunked",
    }  # fmt: skip
    body = b"7;chunk-signature=" + b"0" * 64 + b"\r\nwritten\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    return lab.sign(lab.few, "s3", "PUT", f"/{BUCKET}/public/chunked", headers, body, auth=SigV4Auth)


ATTEMPTS: Mapping[str, Attempt] = {
    # No signature, or none that is one.
    "an unsigned GET": lambda lab: Signed("GET", SECRET, {}),
    "an unsigned JSON call": lambda lab: describe(lab, lab.few).changed({"Authorization": None}),
    "an unsigned call of IAM": lambda lab: iam(lab, lab.few, "ListUsers").changed({"Authorization": None}),
    "an unsigned call of IAM in the query": lambda lab: Signed("GET", "/?Action=ListUsers&Version=2010-05-08", {}),
    "a signature of zeros": lambda lab: authorization(
        lab, f"AWS4-HMAC-SHA256 Credential={scope('test')}, SignedHeaders=host, Signature={'0' * 64}"
    ),
    "root's id without a signature": lambda lab: authorization(lab, f"AWS4-HMAC-SHA256 Credential={scope('test')}"),
    "an empty signature": lambda lab: authorization(
        lab, f"AWS4-HMAC-SHA256 Credential={scope('test')}, SignedHeaders=host, Signature="
    ),
    "the algorithm none": lambda lab: authorization(
        lab, f"none Credential={scope('test')}, SignedHeaders=host, Signature="
    ),
    "the algorithm SHA1": lambda lab: authorization(
        lab, f"AWS4-HMAC-SHA1 Credential={scope('test')}, SignedHeaders=host, Signature={'0' * 40}"
    ),
    "Signature Version 4A": lambda lab: authorization(
        lab,
        f"AWS4-ECDSA-P256-SHA256 Credential=test/20260101/s3/aws4_request, SignedHeaders=host, Signature={'0' * 64}",
    ),
    "Basic": lambda lab: authorization(lab, "Basic " + base64.b64encode(b"test:test").decode()),
    "Bearer": lambda lab: authorization(lab, "Bearer test"),
    "Signature Version 2 in a header": lambda lab: lab.sign_version_2(lab.few, "GET", SECRET, in_query=False),
    "Signature Version 2 in the query": lambda lab: lab.sign_version_2(lab.few, "GET", SECRET, in_query=True),
    "Signature Version 2 with root's id": lambda lab: lab.sign_version_2(
        Keys("test", WRONG), "GET", SECRET, in_query=False
    ),
    # Keys.
    "root's id with another secret": get(lambda _: Keys("test", WRONG)),
    "an account's number with another secret": get(lambda _: Keys(ACCOUNT, WRONG)),
    "another account's number with another secret": get(lambda _: Keys(OTHER_ACCOUNT, WRONG), f"/{OTHER_BUCKET}/flag"),
    "another account's root": get(lambda _: Keys("222222222222", "test")),
    "a key that does not exist": get(lambda _: Keys("AKIAQAAAAAAAPXXXXXXX", "test")),
    "a key of LocalStack's form": get(lambda _: Keys("LKIAQAAAAAAAPXXXXXXX", "test")),
    "an empty key": get(lambda _: Keys("", "test")),
    "a key in other letters": get(lambda lab: lab.admin_session.changed(access_key_id="asia")),
    "LocalStack's internal key": get(lambda _: Keys("__internal_call__", "test")),
    "LocalStack's internal key with its own secret": get(lambda _: Keys("__internal_call__", "__internal_call__")),
    "LocalStack's key for unsigned requests": get(lambda _: Keys("injectedaccesskey", "test")),
    "LocalStack's internal header": get(
        few, x_localstack_data=json.dumps({"current_time": "x", "source_arn": SECRET_ROLE, "service_principal": "s3"})
    ),
    "LocalStack's internal header, unsigned": lambda lab: Signed(
        "GET", SECRET, {"x-localstack-data": '{"service_principal": "s3"}'}
    ),
    "the secret of another user": get(lambda lab: lab.few.changed(secret=lab.most.secret)),
    "a deleted key": get(lambda lab: lab.deleted),
    "an inactive key": get(lambda lab: lab.inactive),
    "a user whose rights were revoked": get(lambda lab: lab.revoked),
    "a session without its token": get(lambda lab: lab.admin_session.changed(token=None)),
    "a session with another's token": get(lambda lab: lab.admin_session.changed(token=lab.gone_session.token)),
    "a session with a changed token": get(lambda lab: lab.admin_session.changed(token=f"{lab.admin_session.token}x")),
    "a user's key with a session's token": get(lambda lab: lab.few.changed(token=lab.admin_session.token)),
    "a session of a deleted role": get(lambda lab: lab.gone_session),
    "a token that was added after signing": lambda lab: lab.sign(lab.few, "s3", "GET", SECRET).changed(
        {"X-Amz-Security-Token": lab.admin_session.token}
    ),
    "a token in the query only": lambda lab: with_query(
        lab.sign(lab.admin_session.changed(token=None), "s3", "GET", SECRET),
        **{"X-Amz-Security-Token": str(lab.admin_session.token)},
    ),
    "moto's header for an account": get(few, x_moto_account_id=OTHER_ACCOUNT),
    "a path with another account": lambda lab: lab.sign(lab.few, "s3", "GET", f"/{OTHER_ACCOUNT}{SECRET}"),
    # Half-signed, or changed after signing; by one with all rights, so that only the signature refuses.
    "a target that is not signed": lambda lab: half_signed(lab, describe(lab, lab.few), "X-Amz-Target"),
    "a target that was changed": lambda lab: describe(lab, lab.admin_session, "evasion-open").changed(
        {"X-Amz-Target": "SageMaker.ListModels"}
    ),
    "a body that was changed": lambda lab: describe(lab, lab.admin_session, "evasion-open").changed(
        body=json.dumps({"ModelName": MODEL}).encode()
    ),
    "a body that is not signed": lambda lab: lab.sign(
        lab.admin_session,
        "sagemaker",
        "POST",
        "/",
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "SageMaker.DescribeModel",
            "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD",
        },
    ).changed(body=json.dumps({"ModelName": MODEL}).encode()),
    "an object that was changed": lambda lab: lab.sign(lab.admin_session, "s3", "PUT", OPEN, body=b"one").changed(
        body=b"two"
    ),
    "a copy's source that is not signed": lambda lab: lab.sign(
        lab.admin_session, "s3", "PUT", f"/{BUCKET}/public/copy"
    ).changed({"x-amz-copy-source": f"{BUCKET}/{SECRET_KEY}"}),
    "a path that was changed": lambda lab: lab.sign(lab.admin_session, "s3", "GET", OPEN).changed(target=SECRET),
    "a method that was changed": lambda lab: lab.sign(lab.admin_session, "s3", "GET", OPEN).changed(method="DELETE"),
    "a query that was added": lambda lab: with_query(lab.sign(lab.admin_session, "s3", "GET", OPEN), acl=""),
    "a query in place of a body": lambda lab: with_query(
        iam(lab, lab.admin_session, "GetUser", UserName="evasion-few"), Action="ListUsers", Version="2010-05-08"
    ),
    "a host that was changed": lambda lab: lab.sign(lab.admin_session, "s3", "GET", f"/{SECRET_KEY}").changed(
        {"Host": f"{BUCKET}.s3.{REGION}.amazonaws.com"}
    ),
    "a service's signature for another service": lambda lab: lab.sign(lab.admin_session, "sagemaker", "GET", SECRET),
    "a signature for S3 at SageMaker": lambda lab: lab.json_call(
        lab.admin_session, "DescribeModel", {"ModelName": MODEL}, service="s3"
    ),
    "a signature of another region": lambda lab: lab.sign(lab.most, "s3", "GET", SECRET, region="us-east-1"),
    "another region in the credential": lambda lab: (
        signed := lab.sign(lab.admin_session, "s3", "GET", SECRET)
    ).changed({"Authorization": signed.headers["Authorization"].replace(f"/{REGION}/", "/us-east-1/")}),
    "an old signature": lambda lab: lab.sign(lab.admin_session, "s3", "GET", SECRET).changed(
        {"X-Amz-Date": "20200101T000000Z"}
    ),
    "a signature without its date": lambda lab: lab.sign(lab.admin_session, "s3", "GET", SECRET).changed(
        {"X-Amz-Date": None}
    ),
    "a chunk that was changed": chunked,
    # Several signatures, and other ways to say who asks.
    "a second Authorization for root": lambda lab: lab.sign(lab.few, "s3", "GET", SECRET).changed(
        {"authorization": f"AWS4-HMAC-SHA256 Credential={scope('test')}, SignedHeaders=host, Signature={'0' * 64}"}
    ),
    "a first Authorization for root": lambda lab: Signed(
        "GET",
        SECRET,
        {
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope('test')}, SignedHeaders=host, Signature={'0' * 64}",
            **lab.sign(lab.few, "s3", "GET", SECRET).headers,
        },
    ),
    "a header's signature and a query's": lambda lab: lab.presign(ROOT.changed(secret=WRONG), "GET", SECRET).changed(
        lab.sign(lab.few, "s3", "GET", SECRET).headers
    ),
    "a query's credential beside a header's": lambda lab: with_query(
        lab.sign(lab.few, "s3", "GET", SECRET), **{"X-Amz-Credential": scope("test")}
    ),
    "two credentials in one header": lambda lab: (signed := lab.sign(lab.few, "s3", "GET", SECRET)).changed(
        {
            "Authorization": signed.headers["Authorization"].replace(
                "Credential=", f"Credential={scope('test')}, Credential="
            )
        }
    ),
    # Presigned addresses and forms.
    "a presigned address with a longer life": lambda lab: (
        signed := lab.presign(lab.admin_session, "GET", SECRET, 1)
    ).changed(target=signed.target.replace("X-Amz-Expires=1&", "X-Amz-Expires=604800&")),
    "a presigned address for more than a week": lambda lab: lab.presign(lab.admin_session, "GET", SECRET, 604_801),
    "a presigned address that ended before it began": lambda lab: lab.presign(lab.admin_session, "GET", SECRET, -1),
    "a presigned address for another object": lambda lab: (signed := lab.presign(lab.few, "GET", OPEN)).changed(
        target=signed.target.replace(OPEN, SECRET)
    ),
    "a presigned address by another method": lambda lab: lab.presign(lab.admin_session, "GET", OPEN).changed(
        method="DELETE"
    ),
    "a presigned address with another way to answer": lambda lab: with_query(
        lab.presign(lab.admin_session, "GET", SECRET), **{"response-content-type": "text/html"}
    ),
    "a presigned address without its token": lambda lab: lab.presign(
        lab.admin_session.changed(token=None), "GET", SECRET
    ),
    "a presigned address of one without rights": lambda lab: lab.presign(lab.few, "GET", SECRET),
    "a presigned address of one whose rights were revoked": lambda lab: lab.presign(lab.revoked, "GET", SECRET),
    "a presigned address of a deleted key": lambda lab: lab.presign(lab.deleted, "GET", SECRET),
    "an upload by a form without a signature": lambda lab: form_upload(lab, "public/form"),
    "an upload by a form to another key": lambda lab: form_upload(
        lab, SECRET_KEY, signed_key="public/form", keys=lab.most
    ),
    "an upload by a form of one without rights": lambda lab: form_upload(lab, SECRET_KEY, keys=lab.most),
    # The names of objects.
    "an encoded key": get(most, f"/{BUCKET}/%73ecret/flag"),
    "an encoded slash": get(most, f"/{BUCKET}/secret%2Fflag"),
    "a key that is encoded twice": get(most, f"/{BUCKET}/%2573ecret/flag"),
    "two slashes before the bucket": get(most, f"//{BUCKET}/{SECRET_KEY}"),
    "two slashes before the key": get(most, f"/{BUCKET}//{SECRET_KEY}"),
    "two slashes in the key": get(most, f"/{BUCKET}/secret//flag"),
    "dots before the key": get(most, f"/{BUCKET}/./{SECRET_KEY}"),
    "dots that go up": get(few, f"/{BUCKET}/public/../{SECRET_KEY}"),
    "encoded dots that go up": get(few, f"/{BUCKET}/public/%2e%2e/{SECRET_KEY}"),
    "dots from another bucket": get(most, f"/other/../{BUCKET}/{SECRET_KEY}"),
    "a backslash": get(most, f"/{BUCKET}/secret%5Cflag"),
    "a key in capital letters": get(most, f"/{BUCKET}/SECRET/flag"),
    "a bucket in capital letters": get(most, f"/{BUCKET.upper()}/{SECRET_KEY}"),
    "a key with a NUL": get(most, f"/{BUCKET}/secret/flag%00"),
    "a key with a question mark": get(most, f"/{BUCKET}/secret/fla%3F"),
    "a wildcard for a key": get(most, f"/{BUCKET}/s*"),
    "a semicolon after the key": get(most, f"/{BUCKET}/{SECRET_KEY};x"),
    "a bucket in the host": get(most, f"/{SECRET_KEY}", Host=f"{BUCKET}.s3.{REGION}.amazonaws.com"),
    "a bucket in LocalStack's host": get(most, f"/{SECRET_KEY}", Host=f"{BUCKET}.s3.localhost.localstack.cloud:4566"),
    "a bucket in the host in capital letters": get(most, f"/{SECRET_KEY}", Host=f"{BUCKET.upper()}.S3.AMAZONAWS.COM"),
    "another service's host": get(most, SECRET, Host="sqs.eu-west-1.amazonaws.com"),
    "a version of an object": get(most, f"{SECRET}?versionId=null"),
    "a part of an object": get(most, f"{SECRET}?partNumber=1"),
    "an object's attributes": get(most, f"{SECRET}?attributes", x_amz_object_attributes="ETag"),
    "an object's list of rights": get(most, f"{SECRET}?acl"),
    "an object's tags": get(most, f"{SECRET}?tagging"),
    "an object's head": lambda lab: lab.sign(lab.most, "s3", "HEAD", SECRET),
    "a list of a forbidden prefix": get(most, f"/{BUCKET}?list-type=2&prefix=secret%2F"),
    "a list of a forbidden prefix in other letters": get(few, f"/{BUCKET}?list-type=2&Prefix=public%2F"),
    "a list of two prefixes": get(few, f"/{BUCKET}?list-type=2&prefix=secret%2F&prefix=public%2F"),
    "a list without a prefix": get(few, f"/{BUCKET}"),
    "a copy": lambda lab: copy(lab, f"{BUCKET}/{SECRET_KEY}"),
    "a copy with a slash": lambda lab: copy(lab, f"/{BUCKET}/{SECRET_KEY}"),
    "a copy with an encoded source": lambda lab: copy(lab, quote(f"{BUCKET}/{SECRET_KEY}", safe="")),
    "a copy of a version": lambda lab: copy(lab, f"{BUCKET}/{SECRET_KEY}?versionId=null"),
    "a copy from an ARN": lambda lab: copy(lab, f"arn:aws:s3:::{BUCKET}/{SECRET_KEY}"),
    "a copy of another account's object": lambda lab: copy(lab, f"{OTHER_BUCKET}/flag"),
    "another account's bucket": get(few, f"/{OTHER_BUCKET}/flag"),
    "a method by a header": lambda lab: lab.sign(lab.most, "s3", "GET", SECRET, {"X-HTTP-Method-Override": "PUT"}),
    "several objects deleted at once": lambda lab: lab.sign(
        lab.few,
        "s3",
        "POST",
        f"/{BUCKET}?delete",
        {"Content-MD5": ""},
        f'<Delete xmlns="{_S3_NS}"><Object><Key>{SECRET_KEY}</Key></Object></Delete>'.encode(),
    ),
    # The names of what is not in S3.
    "a model": lambda lab: describe(lab, lab.most),
    "an operation in small letters": lambda lab: lab.json_call(lab.most, "describemodel", {"ModelName": MODEL}),
    "a service in small letters": lambda lab: describe(lab, lab.most, target_prefix="sagemaker"),
    "an operation with a space": lambda lab: lab.json_call(lab.most, "DescribeModel ", {"ModelName": MODEL}),
    "a model's ARN for its name": lambda lab: describe(lab, lab.most, MODEL_ARN),
    "a model in capital letters": lambda lab: describe(lab, lab.most, MODEL.upper()),
    "a wildcard for a model": lambda lab: describe(lab, lab.few, "evasion-*"),
    "a question mark for a model": lambda lab: describe(lab, lab.most, "evasion-secre?"),
    "a member twice": lambda lab: lab.sign(
        lab.few,
        "sagemaker",
        "POST",
        "/",
        {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "SageMaker.DescribeModel"},
        f'{{"ModelName": "evasion-open", "ModelName": "{MODEL}"}}'.encode(),
    ),
    "tags by an ARN in capital letters": lambda lab: lab.json_call(
        lab.most, "ListTags", {"ResourceArn": MODEL_ARN.replace("model/", "MODEL/")}
    ),
    "tags by an ARN": lambda lab: lab.json_call(lab.most, "ListTags", {"ResourceArn": MODEL_ARN}),
    "tags by another account's ARN": lambda lab: lab.json_call(
        lab.few, "ListTags", {"ResourceArn": MODEL_ARN.replace(ACCOUNT, OTHER_ACCOUNT)}
    ),
    "a function": invoke(FUNCTION),
    "a function's ARN": invoke(quote(FUNCTION_ARN, safe="")),
    "a function's ARN with a version": invoke(quote(f"{FUNCTION_ARN}:$LATEST", safe="")),
    "a function's partial ARN": invoke(quote(f"{ACCOUNT}:function:{FUNCTION}", safe="")),
    "a function with a version": invoke(quote(f"{FUNCTION}:$LATEST", safe="")),
    "a function with a qualifier": invoke(FUNCTION, "?Qualifier=%24LATEST"),
    "an encoded function": invoke(f"%65{FUNCTION[1:]}"),
    "a function with a slash": invoke(f"{FUNCTION}/"),
    "a function in capital letters": invoke(FUNCTION.upper()),
    "a function invoked the old way": lambda lab: lab.sign(
        lab.most, "lambda", "POST", f"/2014-11-13/functions/{FUNCTION}/invoke-async/", body=b"{}"
    ),
    "a function's code": lambda lab: lab.sign(lab.most, "lambda", "GET", f"/2015-03-31/functions/{FUNCTION}"),
    "a function's address, unsigned": lambda lab: function_url(lab, lab.few).changed({"Authorization": None}),
    "a function's address without rights": lambda lab: function_url(lab, lab.few),
    "a function's address with a wrong secret": lambda lab: function_url(lab, Keys("test", WRONG)),
    "a function's address with another service's signature": lambda lab: function_url(lab, lab.admin_session, "s3"),
    "a function's address by a signature for another path": lambda lab: function_url(
        lab, lab.admin_session, path="/one"
    ).changed(target="/two"),
    "a repository": lambda lab: ecr(lab, "DescribeImages", repositoryName=REPOSITORY),
    "a repository with the account": lambda lab: ecr(
        lab, "DescribeImages", repositoryName=REPOSITORY, registryId=ACCOUNT
    ),
    "a repository in capital letters": lambda lab: ecr(lab, "DescribeImages", repositoryName=REPOSITORY.upper()),
    "a log": lambda lab: logs(lab, logGroupName=GROUP, logStreamName="one"),
    "a log by its ARN": lambda lab: logs(
        lab, logGroupIdentifier=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}", logStreamName="one"
    ),
    "a role": lambda lab: iam(lab, lab.most, "GetRole", RoleName="evasion-secret"),
    "a role in capital letters": lambda lab: iam(lab, lab.most, "GetRole", RoleName="EVASION-SECRET"),
    "a key for another user": lambda lab: iam(lab, lab.most, "CreateAccessKey", UserName="evasion-few"),
    "a key for oneself": lambda lab: iam(lab, lab.most, "CreateAccessKey"),
    "an action in small letters": lambda lab: iam(lab, lab.few, "listusers"),
    "a role that is handed over without the right": lambda lab: create_model(lab, lab.few, ADMIN_ROLE),
    "a role that is handed over although it is forbidden": lambda lab: create_model(lab, lab.most, SECRET_ROLE),
    "a role with a path that it does not have": lambda lab: create_model(
        lab, lab.most, SECRET_ROLE.replace("role/", "role/x/")
    ),
    "a role that does not trust the caller": lambda lab: lab.query_call(
        lab.most, "sts", "2011-06-15", "AssumeRole", RoleArn=SECRET_ROLE, RoleSessionName="one"
    ),
    "a role without the right to assume it": lambda lab: lab.query_call(
        lab.few, "sts", "2011-06-15", "AssumeRole", RoleArn=ADMIN_ROLE, RoleSessionName="one"
    ),
    "a user with all rights by CloudFormation": lambda lab: lab.query_call(
        lab.most,
        "cloudformation",
        "2010-05-15",
        "CreateStack",
        StackName="evasion",
        TemplateBody=json.dumps(
            {"Resources": {"User": {"Type": "AWS::IAM::User", "Properties": {"UserName": "evasion-made"}}}}
        ),
        **{"Capabilities.member.1": "CAPABILITY_NAMED_IAM"},
    ),
    "a part's copy": lambda lab: lab.sign(
        lab.most,
        "s3",
        "PUT",
        f"/{BUCKET}/public/parts?partNumber=1&uploadId={lab.upload_id}",
        {"x-amz-copy-source": f"{BUCKET}/{SECRET_KEY}"},
    ),
    "a presigned address of a session of a deleted role": lambda lab: lab.presign(lab.gone_session, "GET", SECRET),
    "a website": lambda lab: Signed(
        "GET", f"/{SECRET_KEY}", {"Host": f"{BUCKET}.s3-website.localhost:{urlsplit(lab.gateway.url).port}"}
    ),
    "metrics by the query protocol": lambda lab: metric_data(lab, "query"),
    "metrics by JSON": lambda lab: metric_data(lab, "json"),
    "metrics by CBOR": lambda lab: metric_data(lab, "cbor"),
    "a queue": lambda lab: queue(lab, lab.most, ACCOUNT),
    "a queue of another account": lambda lab: queue(lab, lab.most, OTHER_ACCOUNT),
    "a queue by its path": lambda lab: lab.sign(
        lab.most, "sqs", "GET", f"/{ACCOUNT}/{QUEUE}?Action=ReceiveMessage&Version=2012-11-05"
    ),
    "a queue by its path and region": lambda lab: lab.sign(
        lab.most, "sqs", "GET", f"/queue/{REGION}/{ACCOUNT}/{QUEUE}?Action=ReceiveMessage&Version=2012-11-05"
    ),
    "a queue by its host": lambda lab: lab.sign(
        lab.most,
        "sqs",
        "POST",
        f"/{ACCOUNT}/{QUEUE}",
        {"Host": f"sqs.{REGION}.localhost.localstack.cloud:4566", "Content-Type": "application/x-www-form-urlencoded"},
        b"Action=ReceiveMessage&Version=2012-11-05",
    ),
    "a queue by its path, unsigned": lambda lab: Signed(
        "GET", f"/queue/{REGION}/{ACCOUNT}/{QUEUE}?Action=ReceiveMessage", {}
    ),
    "a queue by LocalStack's own address": lambda lab: Signed(
        "GET", f"/_aws/sqs/messages/{REGION}/{ACCOUNT}/{QUEUE}", {}
    ),
    "a queue by LocalStack's own address, signed": lambda lab: lab.sign(
        lab.most, "sqs", "GET", f"/_aws/sqs/messages/{REGION}/{ACCOUNT}/{QUEUE}"
    ),
    "a queue by LocalStack's own address with two slashes": lambda lab: Signed(
        "GET", f"//_aws/sqs/messages/{REGION}/{ACCOUNT}/{QUEUE}", {}
    ),
    "an encoded own address of LocalStack": lambda lab: Signed(
        "GET", f"/%5Faws/sqs/messages/{REGION}/{ACCOUNT}/{QUEUE}", {}
    ),
    "a queue by its path with two slashes": lambda lab: lab.sign(
        lab.most, "sqs", "GET", f"/queue//{REGION}/{ACCOUNT}/{QUEUE}/?Action=ReceiveMessage&Version=2012-11-05"
    ),
    "metrics by LocalStack's own address": lambda lab: Signed("GET", "/_aws/cloudwatch/metrics/raw", {}),
}


def copy(lab: Lab, source: str) -> Signed:
    """A copy to where the caller may write, by the one who may do everything but read the secret."""
    return lab.sign(lab.most, "s3", "PUT", f"/{BUCKET}/public/copy", {"x-amz-copy-source": source})


def create_model(lab: Lab, keys: Keys, role: str) -> Signed:
    request = {"ModelName": "evasion-made", "ExecutionRoleArn": role, "PrimaryContainer": {"Image": SERVER}}
    return lab.json_call(keys, "CreateModel", request)


def ecr(lab: Lab, operation: str, **request: str) -> Signed:
    prefix = "AmazonEC2ContainerRegistry_V20150921"
    return lab.json_call(lab.most, operation, request, target_prefix=prefix, service="ecr")


def logs(lab: Lab, **request: str) -> Signed:
    return lab.json_call(lab.most, "GetLogEvents", request, target_prefix="Logs_20140328", service="logs")


def queue(lab: Lab, keys: Keys, account: str) -> Signed:
    request = {"QueueUrl": f"{lab.gateway.url}/{account}/{QUEUE}"}
    return lab.json_call(keys, "ReceiveMessage", request, target_prefix="AmazonSQS", version="1.0", service="sqs")


def test_those_who_may_are_answered(lab: Lab) -> None:
    """So that the attempts fail for what they are, and not because nobody is answered."""
    answers = {
        "few": lab.send(lab.sign(lab.few, "s3", "GET", OPEN)),
        "a list": lab.send(lab.sign(lab.few, "s3", "GET", f"/{BUCKET}?list-type=2&prefix=public%2F")),
        "most": lab.send(lab.sign(lab.most, "s3", "GET", OPEN)),
        "a presigned address": lab.send(lab.presign(lab.few, "GET", OPEN)),
        "a form": lab.send(form_upload(lab, "public/form", keys=lab.few)),
        "a session": lab.send(lab.sign(lab.admin_session, "s3", "GET", SECRET)),
        "a session's model": lab.send(describe(lab, lab.admin_session)),
        "a session's function": lab.send(
            lab.sign(lab.admin_session, "lambda", "GET", f"/2015-03-31/functions/{FUNCTION}")
        ),
        "a session's address": lab.send(function_url(lab, lab.admin_session)),
        "IAM": lab.send(iam(lab, lab.few, "GetUser", UserName="evasion-few")),
        "root": lab.send(lab.sign(ROOT, "s3", "GET", SECRET)),
        "root at LocalStack's own address": lab.send(lab.sign(ROOT, "sqs", "GET", "/_aws/cloudwatch/metrics/raw")),
    }
    assert {who: (answer.status, answer.body[:300]) for who, answer in answers.items() if answer.status >= 400} == {}
    secrets = ("a session", "a session's model", "a session's function", "a session's address", "root")
    assert [who for who in secrets if FLAG not in answers[who].body] == []


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_no_attempt_passes(lab: Lab, attempt: Attempt) -> None:
    answer = lab.send(attempt(lab))
    assert not passes(answer), (answer.status, answer.body[:500])


def test_there_are_at_least_fifty_attempts() -> None:
    assert len(ATTEMPTS) >= 50
