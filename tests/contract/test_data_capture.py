"""Data capture on a real LocalStack: what a caller finds in S3 when the endpoint is gone."""

import json

from botocore.exceptions import ClientError

from tests.contract.endpoints import host
from tests.contract.gateway import REGION, Gateway, until

NAME, BUCKET = "captured", "captured-calls"
CAPTURE = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/below",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


def test_invocations_are_in_s3_when_their_endpoint_is_gone(gateway: Gateway, role: str) -> None:
    s3, sagemaker = gateway.client("s3"), gateway.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    host(gateway, role, NAME, DataCaptureConfig=CAPTURE)
    assert sagemaker.describe_endpoint(EndpointName=NAME)["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": CAPTURE["DestinationS3Uri"],
        "KmsKeyId": "",
    }
    runtime = gateway.client("sagemaker-runtime")
    for number in range(3):
        runtime.invoke_endpoint(
            EndpointName=NAME, Body=f"{number},2", ContentType="text/csv", InferenceId=f"mine-{number}"
        )["Body"].read()
    sagemaker.delete_endpoint(EndpointName=NAME)

    def is_gone() -> bool:
        try:
            sagemaker.describe_endpoint(EndpointName=NAME)
        except ClientError:
            return True
        return False

    until(is_gone, bool)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    assert all(key.startswith(f"below/{NAME}/a/20") and key.endswith(".jsonl") for key in keys)
    files = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
    found = [json.loads(line) for file in files for line in file.splitlines()]
    assert sorted(event["eventMetadata"]["inferenceId"] for event in found) == ["mine-0", "mine-1", "mine-2"]
    sent = [event["captureData"]["endpointInput"] for event in found]
    assert sorted(each["data"] for each in sent) == ["0,2", "1,2", "2,2"]
    assert {(each["encoding"], each["observedContentType"]) for each in sent} == {("CSV", "text/csv")}
