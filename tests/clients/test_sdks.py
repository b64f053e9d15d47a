"""The blocks of docs/clients.md by AWS's own SDKs, MLflow and a notebook: `make test-clients` installs them."""

import pytest

from tests.clients.page import ENVIRONMENTS, Reader

NOTEBOOK = """
import nbformat, nbclient, sys
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(sys.argv[1])])
nbclient.NotebookClient(notebook, kernel_name="python3").execute()
print("".join(output.text for output in notebook.cells[0].outputs))
"""


def python(environment: str) -> str:
    program = ENVIRONMENTS / environment / "bin" / "python"
    if not program.exists():
        pytest.skip(f"needs the environment {environment}: scripts/setup {environment}")
    return str(program)


def test_the_estimator_trains_is_attached_and_deploys(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", reader.text("Estimator (SageMaker SDK 2.257)"))
    assert "files=2" in printed  # the job's log
    assert "{'bytes': 67, 'model': ['weights.txt']}" in printed


def test_the_model_trainer_trains(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk3"), "-c", reader.text("ModelTrainer (SageMaker SDK 3.27)"))
    assert "by-sdk3-" in printed
    assert printed.count(": Completed") >= 2  # with the first block's


def test_mlflow_deploys(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", reader.text("MLflow"))
    assert '"MLmodel"' in printed


def test_a_notebook_reads_the_job(reader: Reader) -> None:
    printed = reader.run(python("clients-sdk2"), "-c", NOTEBOOK, reader.text("A notebook"), variables=False)
    assert "Completed s3://clients/models/by-cli/output/model.tar.gz" in printed
