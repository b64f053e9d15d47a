"""AWS's SDKs and CLI drive images that are not this repository's, in containers."""

import json
from collections.abc import Iterator

import pytest

from tests.clients.foreign_images import DECISION_TREE, FACTOR, SCRIPT_MODE, built
from tests.clients.page import ENVIRONMENTS, Reader, python
from tests.contract.docker_image import docker_url
from tests.contract.function_stack import stack_in_containers

PREPARE = """
import pathlib, sys
rows = sorted(path.read_text() for path in pathlib.Path("/opt/ml/processing/input/data").iterdir())
print("arguments:", sys.argv[1:])
pathlib.Path("/opt/ml/processing/output/rows.txt").write_text("".join(rows))
"""

# In the form of a script for AWS's framework images: arguments and SM_ variables.
HPO = """
import argparse, json, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch-size", type=int)
parser.add_argument("--hosts", type=json.loads, default=os.environ["SM_HOSTS"])
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
arguments = parser.parse_args()
files = sorted(os.listdir(arguments.train))
print(f"hosts={arguments.hosts} gpus={os.environ['SM_NUM_GPUS']} files={files}", flush=True)
print(f"Test set: Average loss: {arguments.lr * arguments.batch_size:.4f}", flush=True)
(pathlib.Path(arguments.model_dir) / "model.json").write_text(json.dumps(vars(arguments)))
"""

INFERENCE = """
import json, os

def model_fn(model_dir):
    with open(os.path.join(model_dir, "model.json")) as file:
        return json.load(file)

def input_fn(body, content_type):
    assert content_type == "application/json"
    return json.loads(body)

def predict_fn(data, model):
    return [model["lr"] * each for each in data]
"""

SDK_2_PROCESSING = """
import sagemaker
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, Processor, ScriptProcessor
from sagemaker.pytorch import PyTorch
session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
processor = ScriptProcessor(role, "python:3.13-slim", ["python3"], 1, "ml.m5.large", sagemaker_session=session)
processor.run(
    "prepare.py", inputs=[ProcessingInput("s3://clients/data/", "/opt/ml/processing/input/data")],
    outputs=[ProcessingOutput("/opt/ml/processing/output", "s3://clients/sdk2")], arguments=["--test", "0.2"])
print("rows:", session.read_s3_file("clients", "sdk2/rows.txt").split())
framework = FrameworkProcessor(
    PyTorch, "2.6.0", role, 1, "ml.m5.large", "py312", "python:3.13-slim", ["python3"], sagemaker_session=session)
framework.run(
    "prepare.py", "scripts", inputs=[ProcessingInput("s3://clients/data/", "/opt/ml/processing/input/data")],
    outputs=[ProcessingOutput("/opt/ml/processing/output", "s3://clients/sdk2-framework")], arguments=["--all"])
print("rows of the framework:", session.read_s3_file("clients", "sdk2-framework/rows.txt").split())
broken = Processor(role, "python:3.13-slim", 1, "ml.m5.large", entrypoint=["sh", "-c"], sagemaker_session=session)
try:
    broken.run(arguments=["exit 3"], logs=False)
except sagemaker.exceptions.UnexpectedStatusException as error:
    print("refused:", error)
"""

SDK_3_PROCESSING = """
from sagemaker.core import shapes
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.resources import ProcessingJob
role = "arn:aws:iam::000000000000:role/clients"
session = Session(default_bucket="clients")
processor = ScriptProcessor(role, "python:3.13-slim", ["python3"], 1, "ml.m5.large", sagemaker_session=session)
source = shapes.ProcessingS3Input(
    s3_uri="s3://clients/data/", local_path="/opt/ml/processing/input/data", s3_data_type="S3Prefix",
    s3_input_mode="File")
inputs = [shapes.ProcessingInput(input_name="data", s3_input=source)]
def outputs(uri):
    return [shapes.ProcessingOutput(output_name="rows", s3_output=shapes.ProcessingS3Output(
        s3_uri=uri, local_path="/opt/ml/processing/output", s3_upload_mode="EndOfJob"))]
processor.run(
    "prepare.py", inputs=inputs, outputs=outputs("s3://clients/sdk3"), arguments=["--test", "0.2"],
    job_name="by-sdk3")
job = ProcessingJob.get("by-sdk3")
job.wait(poll=1)
print("status:", job.processing_job_status)
print("all:", [each.processing_job_name for each in ProcessingJob.get_all(name_contains="by-sdk3")])
framework = FrameworkProcessor("python:3.13-slim", role, 1, "ml.m5.large", ["python3"], sagemaker_session=session)
framework.run(
    "prepare.py", "scripts", inputs=inputs, outputs=outputs("s3://clients/sdk3-framework"), arguments=["--all"],
    job_name="framework-sdk3")
print("rows of the framework:", session.read_s3_file("clients", "sdk3-framework/rows.txt").split())
"""

CLI_PROCESSING = """
aws sagemaker create-processing-job --processing-job-name by-cli --role-arn arn:aws:iam::000000000000:role/clients \\
    --app-specification '{"ImageUri": "python:3.13-slim", "ContainerEntrypoint": ["sh", "-c"], "ContainerArguments": [
        "cat /opt/ml/processing/input/data/* > /opt/ml/processing/output/rows.txt"]}' \\
    --processing-inputs '[{"InputName": "data", "S3Input": {"S3Uri": "s3://clients/data/", "S3DataType": "S3Prefix",
        "LocalPath": "/opt/ml/processing/input/data", "S3InputMode": "File"}}]' \\
    --processing-output-config '{"Outputs": [{"OutputName": "rows", "S3Output": {"S3Uri": "s3://clients/cli",
        "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}}]}' \\
    --processing-resources 'ClusterConfig={InstanceCount=1,InstanceType=ml.m5.large,VolumeSizeInGB=1}'
describe() { aws sagemaker describe-processing-job --processing-job-name by-cli --query ProcessingJobStatus; }
until describe | grep -E 'Completed|Failed'; do sleep 1; done
aws sagemaker wait processing-job-completed-or-stopped --processing-job-name by-cli
aws s3 cp s3://clients/cli/rows.txt -
"""

SDK_2_SCRIPT_MODE = """
import sys, sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import JSONSerializer
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner
session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
estimator = PyTorch(
    entry_point="hpo.py", source_dir="scripts", image_uri=sys.argv[1], framework_version="2.6.0",
    py_version="py312", role=role, instance_count=1, instance_type="ml.m5.large",
    sagemaker_session=session, hyperparameters={"lr": 0.5, "batch-size": 2}, output_path="s3://clients/models")
estimator.fit({"train": "s3://clients/data/"})
ranges = {"lr": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter([32, 64])}
metrics = [{"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9.]+)"}]
tuner = HyperparameterTuner(estimator, "average test loss", ranges, metrics, objective_type="Minimize", max_jobs=2)
tuner.fit({"train": "s3://clients/data/"})
losses = tuner.analytics().dataframe().set_index("TrainingJobName")["FinalObjectiveValue"]
print("best is the least:", losses[tuner.best_training_job()] == losses.min())
predictor = estimator.deploy(
    1, "ml.m5.large", entry_point="inference.py", serializer=JSONSerializer(), deserializer=JSONDeserializer())
print("predicted:", predictor.predict([1, 3]))
predictor.delete_model()
predictor.delete_endpoint()
"""

SDK_3_SCRIPT_MODE = """
import sys
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.resources import TrainingJob
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode
from sagemaker.train.tuner import HyperparameterTuner
trainer = ModelTrainer(
    training_image="python:3.13-slim", role="arn:aws:iam::000000000000:role/clients", base_job_name="script-sdk3",
    sagemaker_session=Session(default_bucket="clients"), compute=Compute(instance_type="ml.m5.large", instance_count=1),
    source_code=SourceCode(source_dir="scripts", entry_script="hpo.py"), hyperparameters={"lr": 0.5, "batch-size": 2},
    output_data_config=OutputDataConfig(s3_output_path="s3://clients/models"))
data = [InputData(channel_name="train", data_source="s3://clients/data/")]
trainer.train(data)
print("trained:", [job.training_job_status for job in TrainingJob.get_all(name_contains="script-sdk3")])
trainer.training_image = sys.argv[1]  # a tuning job has no entry point of its own: the image's program runs the script
metrics = [{"Name": "average test loss", "Regex": "Test set: Average loss: ([0-9.]+)"}]
tuner = HyperparameterTuner(
    trainer, "average test loss", {"lr": ContinuousParameter(0.001, 0.1)}, metrics, objective_type="Minimize",
    max_jobs=2, base_tuning_job_name="script-sdk3")
tuner.tune(data)
losses = tuner.analytics().dataframe().set_index("TrainingJobName")["FinalObjectiveValue"]
print("best is the least:", losses[tuner.best_training_job()] == losses.min(), len(losses))
"""

SDK_2_DECISION_TREE = """
import sys, sagemaker
from sagemaker.deserializers import StringDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import CSVSerializer
session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
tree = Estimator(
    sys.argv[1], role, 1, "ml.m5.large", sagemaker_session=session, output_path="s3://clients/models",
    hyperparameters={"max_leaf_nodes": 5})
tree.fit({"training": "s3://clients/iris/"})
transformer = tree.transformer(1, "ml.m5.large", output_path="s3://clients/classes", assemble_with="Line")
transformer.transform("s3://clients/new/", content_type="text/csv", split_type="Line")
print("transformed:", session.read_s3_file("clients", "classes/flowers.csv.out").split())
predictor = tree.deploy(1, "ml.m5.large", serializer=CSVSerializer(), deserializer=StringDeserializer())
flowers = [[5.0, 3.4, 1.5, 0.2], [6.5, 3.0, 5.8, 2.2]]
print("predicted:", predictor.predict(flowers).split())
predictor.delete_model()
predictor.delete_endpoint()
"""

SDK_2_PIPELINE = """
import sys, sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.pipeline import PipelineModel
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer
session, role = sagemaker.Session(default_bucket="clients"), "arn:aws:iam::000000000000:role/clients"
models = [Model(sys.argv[1], role=role, env={"FACTOR": str(factor)}, sagemaker_session=session) for factor in (2, 3, 7)]
pipeline = PipelineModel(models, role, name="sdk2-pipeline", sagemaker_session=session, predictor_cls=Predictor)
predictor = pipeline.deploy(
    1, "ml.m5.large", endpoint_name="sdk2-pipeline", serializer=JSONSerializer(), deserializer=JSONDeserializer(),
    wait=False)
session.wait_for_endpoint("sdk2-pipeline", poll=1)
print("answered:", predictor.predict([1, 10]))
[variant] = session.describe_endpoint("sdk2-pipeline")["ProductionVariants"]
print("images:", len(variant["DeployedImages"]))
transformer = pipeline.transformer(1, "ml.m5.large", output_path="s3://clients/products")
transformer.transform("s3://clients/numbers/", content_type="application/json", wait=False)
session.wait_for_transform_job(transformer.latest_transform_job.name, poll=1)
print("transformed:", session.read_s3_file("clients", "products/numbers.json.out"))
predictor.delete_endpoint()
pipeline.delete_model()
"""

SDK_3_DIRECT = """
import sys
from sagemaker.core import shapes
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
containers = [
    shapes.ContainerDefinition(
        image=sys.argv[1], container_hostname=f"times-{factor}", environment={"FACTOR": str(factor)})
    for factor in (2, 3)]
model = Model.create(
    "sdk3-direct", execution_role_arn="arn:aws:iam::000000000000:role/clients", containers=containers,
    inference_execution_config=shapes.InferenceExecutionConfig(mode="Direct"))
variant = shapes.ProductionVariant(
    variant_name="one", model_name="sdk3-direct", instance_type="ml.m5.large", initial_instance_count=1)
EndpointConfig.create("sdk3-direct", production_variants=[variant])
endpoint = Endpoint.create("sdk3-direct", endpoint_config_name="sdk3-direct")
endpoint.wait_for_status("InService", poll=1)
for name in ("times-3", "times-2"):
    answer = endpoint.invoke(body=b"[1, 10]", content_type="application/json", target_container_hostname=name)
    print(f"{name}:", answer.body.read())
endpoint.delete()
"""

TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}

IRIS = """setosa,5.1,3.5,1.4,0.2
setosa,4.9,3.0,1.4,0.2
virginica,6.3,3.3,6.0,2.5
virginica,5.8,2.7,5.1,1.9
"""

OBJECTS = {
    "data/a.txt": "a\n",
    "data/b.txt": "b\n",
    "iris/iris.csv": IRIS,
    "numbers/numbers.json": "[4, 5]",
    "new/flowers.csv": "5.0,3.4,1.5,0.2\n6.5,3.0,5.8,2.2\n4.7,3.2,1.3,0.2\n",
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody with a stack in containers, scripts, a role and a bucket."""
    docker_url()
    folder = tmp_path_factory.mktemp("foreign")
    scripts = {
        "prepare.py": PREPARE,
        "scripts/prepare.py": PREPARE,
        "scripts/hpo.py": HPO,
        "scripts/inference.py": INFERENCE,
    }
    for name, text in scripts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "bin").mkdir()
    (folder / "bin" / "aws").symlink_to(ENVIRONMENTS / "plugin" / "bin" / "aws")
    with stack_in_containers(folder / "localstack") as stack:
        iam, s3 = stack.localstack.client("iam"), stack.localstack.client("s3")
        iam.create_role(
            RoleName="clients", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
        )
        iam.attach_role_policy(RoleName="clients", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
        s3.create_bucket(Bucket="clients")
        for key, text in OBJECTS.items():
            s3.put_object(Bucket="clients", Key=key, Body=text.encode())
        yield Reader(stack.localstack.endpoint, folder)


def test_sdk_2_processes_and_is_told_of_a_failure(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", SDK_2_PROCESSING)
    assert "arguments: ['--test', '0.2']" in printed
    assert "rows: ['a', 'b']" in printed
    assert "arguments: ['--all']" in printed
    assert "rows of the framework: ['a', 'b']" in printed
    assert "exit code: 3" in printed


def test_sdk_3_processes_and_finds_the_job(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", SDK_3_PROCESSING)
    assert "status: Completed" in printed
    assert "all: ['by-sdk3']" in printed
    assert "rows of the framework: ['a', 'b']" in printed


def test_the_aws_cli_processes(reader: Reader) -> None:
    assert reader.run("bash", "-ec", CLI_PROCESSING).endswith('"Completed"\na\nb\n')


def test_scripts_for_awss_toolkits_train_are_tuned_and_serve(reader: Reader) -> None:
    program = python("clients-sdk2")
    with built(reader.folder / "script-mode", SCRIPT_MODE) as image:
        printed = reader.run(program, "-c", SDK_2_SCRIPT_MODE, image)
        by_sdk_3 = reader.run(python("clients-sdk3"), "-c", SDK_3_SCRIPT_MODE, image)
    assert "hosts=['algo-1'] gpus=0 files=['a.txt', 'b.txt']" in printed
    assert "Reporting training SUCCESS" in printed
    assert "best is the least: True" in printed
    assert "predicted: [0.5, 1.5]" in printed
    assert "trained: ['Completed']" in by_sdk_3
    assert "best is the least: True 2" in by_sdk_3


def test_a_decision_tree_in_the_form_of_awss_example_trains_transforms_and_serves(reader: Reader) -> None:
    program = python("clients-sdk2")
    with built(reader.folder / "decision-tree", DECISION_TREE) as image:
        printed = reader.run(program, "-c", SDK_2_DECISION_TREE, image)
    assert "Training complete." in printed
    assert "transformed: ['setosa', 'virginica', 'setosa']" in printed
    assert "predicted: ['setosa', 'virginica']" in printed


def test_models_of_several_containers_are_pipelines_or_called_one_by_one(reader: Reader) -> None:
    with built(reader.folder / "factor", FACTOR) as image:
        by_sdk_2 = reader.run(python("clients-sdk2"), "-c", SDK_2_PIPELINE, image)
        by_sdk_3 = reader.run(python("clients-sdk3"), "-c", SDK_3_DIRECT, image)
    assert "answered: [42, 420]" in by_sdk_2
    assert "images: 3" in by_sdk_2
    assert "transformed: [168, 210]" in by_sdk_2
    assert "times-3: b'[3, 30]'" in by_sdk_3
    assert "times-2: b'[2, 20]'" in by_sdk_3
