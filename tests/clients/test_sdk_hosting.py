"""Models and endpoints by AWS's own SDKs: deploy, ask, update, delete."""

from tests.clients.page import Reader, python

SDK_2 = """
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.iterators import LineIterator
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import IdentitySerializer

session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
form = {"serializer": IdentitySerializer("image/png"), "deserializer": JSONDeserializer()}
"""

UPDATE = """
data = "s3://clients/models/by-cli/output/model.tar.gz"
model = Model("stagemaker/serve", data, role, sagemaker_session=session, predictor_cls=Predictor)
predictor = model.deploy(
    1, "ml.m5.large", endpoint_name="sdk2-updated", tags=[{"Key": "owner", "Value": "clients"}],
    container_startup_health_check_timeout=120, **form)
print("first:", predictor.predict(b"photo"))
next_model = Model("stagemaker/serve", data, role, name="sdk2-next", sagemaker_session=session, env={"LEVEL": "2"})
next_model.create(instance_type="ml.m5.large")
predictor.update_endpoint(initial_instance_count=1, instance_type="ml.m5.xlarge", model_name="sdk2-next")
same = Predictor("sdk2-updated", session, **form)
print("second:", same.predict(b"a photo", initial_args={"CustomAttributes": "c", "InferenceId": "one"}))
lines = same.predict_stream(b"a photo", initial_args={"Accept": "text/plain"}, iterator=LineIterator)
print("streamed:", list(lines))
endpoint = session.describe_endpoint("sdk2-updated")
config = session.sagemaker_client.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
print([variant["ModelName"] for variant in config["ProductionVariants"]], endpoint["EndpointStatus"])
print(session.sagemaker_client.list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"])
same.delete_model()
same.delete_endpoint()
left = session.sagemaker_client.list_endpoints(NameContains="sdk2-updated")["Endpoints"]
print("left:", [each["EndpointStatus"] for each in left if each["EndpointStatus"] != "Deleting"])
"""

WITHOUT_COMPRESSION = """
estimator = Estimator(
    "stagemaker/trainer", role, 1, "ml.m5.large", sagemaker_session=session, output_path="s3://clients/models",
    disable_output_compression=True)
estimator.fit("s3://clients/data/train/")
print("files:", session.list_s3_files("clients", f"models/{estimator.latest_training_job.name}"))
predictor = estimator.deploy(1, "ml.m5.large", image_uri="stagemaker/serve", **form)
print("served:", predictor.predict(b"photo")["model"])
predictor.delete_model()
predictor.delete_endpoint()
"""

CAPTURE = """
import json, time
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.s3 import S3Downloader

data = "s3://clients/models/by-cli/output/model.tar.gz"
model = Model("stagemaker/serve", data, role, sagemaker_session=session, predictor_cls=Predictor)
capture = DataCaptureConfig(True, 100, "s3://clients/captured", sagemaker_session=session)
predictor = model.deploy(
    1, "ml.m5.large", endpoint_name="sdk2-captured", data_capture_config=capture, wait=False, **form)
session.wait_for_endpoint("sdk2-captured", poll=1)
predictor.predict(b"photo", inference_id="mine")
print("captures:", session.describe_endpoint("sdk2-captured")["DataCaptureConfig"]["CaptureStatus"])
predictor.delete_model()
predictor.delete_endpoint()
due = time.monotonic() + 60
while not (files := S3Downloader.list("s3://clients/captured/sdk2-captured/AllTraffic", session)):
    assert time.monotonic() < due
    time.sleep(0.1)
[file] = files
event = json.loads(S3Downloader.read_file(file, session))
print(event["eventMetadata"]["inferenceId"], [event["captureData"][side]["encoding"] for side in event["captureData"]])
"""

SEVERAL_MODELS = """
from sagemaker.multidatamodel import MultiDataModel
several = MultiDataModel(
    "sdk2-several", "s3://clients/several/", None, "stagemaker/serve", role, session, predictor_cls=Predictor)
predictor = several.deploy(1, "ml.m5.large", endpoint_name="sdk2-several", **form)
for name in ("a.tar.gz", "b.tar.gz"):
    several.add_model("s3://clients/models/by-cli/output/model.tar.gz", name)
print("models:", sorted(several.list_models()))
print("a:", predictor.predict(b"photo", target_model="a.tar.gz"))
print("b:", predictor.predict(b"a photo", target_model="b.tar.gz"))
predictor.delete_model()
predictor.delete_endpoint()
"""

ASYNCHRONOUS = """
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
model = Model(
    "stagemaker/serve", "s3://clients/models/by-cli/output/model.tar.gz", role, sagemaker_session=session,
    predictor_cls=Predictor)
predictor = model.deploy(
    1, "ml.m5.large", endpoint_name="sdk2-async", async_inference_config=AsyncInferenceConfig("s3://clients/async"),
    **form)
waiter = WaiterConfig(max_attempts=120, delay=1)
print("waited:", predictor.predict(b"photo", waiter_config=waiter))
later = predictor.predict_async(b"a photo", initial_args={"InferenceId": "mine"})
print("later:", later.get_result(waiter), later.output_path)
predictor.delete_model()
predictor.delete_endpoint()
"""

SERVERLESS = """
from sagemaker.serverless import ServerlessInferenceConfig
model = Model(
    "stagemaker/serve", "s3://clients/models/by-cli/output/model.tar.gz", role, sagemaker_session=session,
    predictor_cls=Predictor)
predictor = model.deploy(
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=1024, max_concurrency=2),
    endpoint_name="sdk2-serverless", **form)
print("answer:", predictor.predict(b"photo"))
[variant] = session.describe_endpoint("sdk2-serverless")["ProductionVariants"]
print("config:", variant["CurrentServerlessConfig"])
predictor.delete_model()
predictor.delete_endpoint()
"""

SDK_3 = """
from sagemaker.core import shapes
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.serve import ModelBuilder

role, data = "arn:aws:iam::000000000000:role/clients", "s3://clients/models/by-cli/output/model.tar.gz"
"""

RESOURCES = """
container = shapes.ContainerDefinition(image="stagemaker/serve", model_data_url=data)
model = Model.create("sdk3-resources", execution_role_arn=role, primary_container=container)
capture = shapes.DataCaptureConfig(
    initial_sampling_percentage=100, destination_s3_uri="s3://clients/captured",
    capture_options=[shapes.CaptureOption(capture_mode="InputAndOutput")])
def config(name, weight):
    return EndpointConfig.create(name, production_variants=[shapes.ProductionVariant(
        variant_name="one", model_name=model.model_name, instance_type="ml.m5.large", initial_instance_count=1,
        initial_variant_weight=weight)], data_capture_config=capture)
first, second = config("sdk3-first", 1), config("sdk3-second", 2)
endpoint = Endpoint.create("sdk3-resources", endpoint_config_name=first)
endpoint.wait_for_status("InService", poll=1)
answer = endpoint.invoke(body=b"photo", content_type="image/png")
print("answer:", answer.body.read(), answer.content_type, answer.invoked_production_variant)
endpoint.update_weights_and_capacities(
    [shapes.DesiredWeightAndCapacity(variant_name="one", desired_weight=3)])
endpoint.wait_for_status("InService", poll=1)
print("captures:", endpoint.refresh().data_capture_config.capture_status)
print("weight:", Endpoint.get("sdk3-resources").production_variants[0].current_weight)
endpoint.endpoint_config_name = "sdk3-second"
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
print("updated:", Endpoint.get("sdk3-resources").endpoint_config_name)
print("all:", [each.endpoint_name for each in Endpoint.get_all(name_contains="sdk3-resources")])
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for each in (first, second, model):
    each.delete()
print("left:", [each.endpoint_name for each in Endpoint.get_all(name_contains="sdk3-resources")])
"""

BUILDER = """
builder = ModelBuilder(
    image_uri="stagemaker/serve", s3_model_data_url=data, role_arn=role, instance_type="ml.m5.large",
    sagemaker_session=Session(default_bucket="clients"))
model = builder.build(model_name="sdk3-built")
endpoint = builder.deploy(endpoint_name="sdk3-built", initial_instance_count=1)
print("answer:", endpoint.invoke(body=b"photo", content_type="image/png").body.read())
endpoint.delete()
model.delete()
"""

# Its shapes cannot say MemorySizeInMB: they write MemorySizeInMb.
SERVERLESS_BUILDER = """
from sagemaker.core.inference_config import ServerlessInferenceConfig
builder = ModelBuilder(
    image_uri="stagemaker/serve", s3_model_data_url=data, role_arn=role,
    sagemaker_session=Session(default_bucket="clients"))
model = builder.build(model_name="sdk3-serverless")
endpoint = builder.deploy(
    endpoint_name="sdk3-serverless",
    inference_config=ServerlessInferenceConfig(memory_size_in_mb=1024, max_concurrency=1))
print("answer:", endpoint.invoke(body=b"photo", content_type="image/png").body.read())
more = shapes.ProductionVariantServerlessUpdateConfig(max_concurrency=3, provisioned_concurrency=2)
[name] = [variant.variant_name for variant in endpoint.refresh().production_variants]
endpoint.update_weights_and_capacities(
    [shapes.DesiredWeightAndCapacity(variant_name=name, serverless_update_config=more)])
endpoint.wait_for_status("InService", poll=1)
current = endpoint.refresh().production_variants[0].current_serverless_config
print("config:", current.max_concurrency, current.provisioned_concurrency)
endpoint.delete()
model.delete()
"""


def test_sdk_2_deploys_updates_and_deletes(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + UPDATE)
    assert "first: {'bytes': 5, 'model': ['weights.txt']}" in printed
    assert "second: {'bytes': 7, 'model': ['weights.txt']}" in printed
    assert "streamed: [b'one', b'two', b'three']" in printed
    assert "['sdk2-next'] InService" in printed
    assert "[{'Key': 'owner', 'Value': 'clients'}]" in printed
    assert printed.endswith("left: []\n")


def test_sdk_2_serves_a_model_without_compression(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + WITHOUT_COMPRESSION)
    assert "/output/model/weights.txt']" in printed
    assert "served: ['weights.txt']" in printed


def test_sdk_2_captures_data_and_reads_it(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + CAPTURE)
    assert "captures: Started" in printed
    assert "mine ['BASE64', 'JSON']" in printed


def test_sdk_2_serves_several_models_of_a_prefix(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + SEVERAL_MODELS)
    assert "models: ['a.tar.gz', 'b.tar.gz']" in printed
    assert "a: {'bytes': 5, 'model': ['weights.txt']}" in printed
    assert "b: {'bytes': 7, 'model': ['weights.txt']}" in printed


def test_sdk_2_asks_for_answers_in_s3(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + ASYNCHRONOUS)
    assert "waited: {'bytes': 5, 'model': ['weights.txt']}" in printed
    assert "later: {'bytes': 7, 'model': ['weights.txt']} s3://clients/async/" in printed


def test_sdk_2_deploys_a_serverless_endpoint(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2 + SERVERLESS)
    assert "answer: {'bytes': 5, 'model': ['weights.txt']}" in printed
    assert "config: {'MemorySizeInMB': 1024, 'MaxConcurrency': 2}" in printed


def test_sdk_3_deploys_a_serverless_endpoint_and_updates_its_concurrency(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", SDK_3 + SERVERLESS_BUILDER)
    assert 'answer: b\'{"bytes": 5, "model": ["weights.txt"]}\'' in printed
    assert "config: 3 2" in printed


def test_sdk_3_has_endpoints_as_resources(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", SDK_3 + RESOURCES)
    assert 'answer: b\'{"bytes": 5, "model": ["weights.txt"]}\' application/json one' in printed
    assert "captures: Started" in printed
    assert "weight: 3.0" in printed
    assert "updated: sdk3-second" in printed
    assert "all: ['sdk3-resources']" in printed
    assert printed.endswith("left: []\n")


def test_sdk_3_builds_a_model_and_deploys_it(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", SDK_3 + BUILDER)
    assert 'answer: b\'{"bytes": 5, "model": ["weights.txt"]}\'' in printed
