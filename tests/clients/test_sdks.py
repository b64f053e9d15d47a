"""The blocks of docs/clients.md by AWS's own SDKs, MLflow and a notebook: `make test-clients` installs them."""

from tests.clients.page import Reader, python

NOTEBOOK = """
import nbformat, nbclient, sys
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(sys.argv[1])])
nbclient.NotebookClient(notebook, kernel_name="python3").execute()
print("".join(output.text for output in notebook.cells[0].outputs))
"""

GET_ALL = """
import collections, inspect
from botocore.exceptions import ClientError
from sagemaker.core import resources
answers = collections.Counter()
for _, kind in inspect.getmembers(resources, lambda found: hasattr(found, "get_all")):
    needed = [each for each in inspect.signature(kind.get_all).parameters.values() if each.default is each.empty]
    if [each.name for each in needed if each.kind is each.POSITIONAL_OR_KEYWORD]:
        continue
    try:
        list(kind.get_all())
        answers[200] += 1
    except ClientError as error:
        answers[error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]] += 1
print("answers:", *sorted(answers, key=str))
"""


def test_the_estimator_trains_is_attached_and_deploys(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", reader.text("Estimator (SageMaker SDK 2.257)"))
    assert "files=2" in printed  # the job's log
    assert "{'bytes': 67, 'model': ['weights.txt']}" in printed


def test_the_model_trainer_trains(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", reader.text("ModelTrainer (SageMaker SDK 3.27)"))
    assert "by-sdk3-" in printed
    assert printed.count(": Completed") >= 2  # with the first block's


def test_every_resource_of_sdk_3_is_listed_or_is_said_to_be_missing(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", GET_ALL)
    assert "answers: (501, 'NotImplementedException') 200" in printed


def test_mlflow_deploys(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", reader.text("MLflow"))
    assert '"MLmodel"' in printed


def test_a_notebook_reads_the_job(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", NOTEBOOK, reader.text("A notebook"), variables=False)
    assert "Completed s3://clients/models/by-cli/output/model.tar.gz" in printed
