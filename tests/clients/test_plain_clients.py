"""The blocks of docs/clients.md that CI runs: the AWS CLI, boto3, and Terraform where it is installed."""

import json
import zipfile
from pathlib import Path

from tests.clients.page import ENVIRONMENTS, Reader, blocks
from tests.contract.localstack_process import ROOT
from tests.contract.terraform import NEEDS_TERRAFORM, applied

# Instead of the page's configuration of instances, and of what scales them.
SERVERLESS = """
resource "aws_sagemaker_endpoint_configuration" "one" {
  name = "serverless"
  production_variants {
    variant_name = "one"
    model_name   = aws_sagemaker_model.one.name
    serverless_config {
      memory_size_in_mb       = 1024
      max_concurrency         = 3
      provisioned_concurrency = 1
    }
  }
}

resource "aws_sagemaker_endpoint" "one" {
  name                 = "serverless"
  endpoint_config_name = aws_sagemaker_endpoint_configuration.one.name
}

resource "aws_appautoscaling_target" "one" {
  service_namespace  = "sagemaker"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.one.name}/variant/one"
  scalable_dimension = "sagemaker:variant:DesiredProvisionedConcurrency"
  min_capacity       = 1
  max_capacity       = 2
}
"""


def test_every_section_of_the_page_has_a_block() -> None:
    assert {heading.partition(" (")[0]: language for heading, (language, _) in blocks().items()} == {
        "AWS CLI": "bash",
        "boto3": "python",
        "Estimator": "python",
        "ModelTrainer": "python",
        "Terraform": "hcl",
        "MLflow": "python",
        "A notebook": "ipython",
        "Tuning and transform by the AWS CLI": "bash",
        "Tuning, transform and spot": "python",
        "Tuning and transform": "python",
    }


def test_the_aws_cli_trains(first_block: str) -> None:
    assert first_block.endswith('"Completed"\n')


def test_the_aws_cli_tunes_and_transforms(reader: Reader) -> None:
    printed = reader.run("bash", "-ec", reader.text("Tuning and transform by the AWS CLI"))
    assert "\nCompleted\n" in printed
    assert printed.rstrip().endswith("by-cli/digit-3/1.png.out")


def test_boto3_deploys_and_asks(reader: Reader) -> None:
    printed = reader.run(str(ENVIRONMENTS / "client" / "bin" / "python"), "-c", reader.text("boto3"))
    assert printed == "{'bytes': 67, 'model': ['weights.txt']}\n"


def _pack_handler(folder: Path) -> None:
    """The code of the page's function."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "handler.zip", "w") as archive:
        archive.write(ROOT / "containers" / "lambda" / "handler.py", "handler.py")


@NEEDS_TERRAFORM
def test_terraform_deploys_and_then_finds_nothing_to_change(reader: Reader) -> None:
    folder = reader.folder / "terraform"
    _pack_handler(folder)
    with applied(folder, reader.text("Terraform (AWS provider 5.100)"), reader.run):
        shown = reader.run("aws", "sagemaker", "describe-endpoint", "--endpoint-name", "by-terraform")
        assert json.loads(shown)["EndpointStatus"] == "InService"
        function = ("--function-name", "by-terraform", "--qualifier", "live")
        warm = json.loads(reader.run("aws", "lambda", "get-provisioned-concurrency-config", *function))
        assert warm["AvailableProvisionedConcurrentExecutions"] == 1


@NEEDS_TERRAFORM
def test_terraform_deploys_a_serverless_endpoint_and_then_finds_nothing_to_change(reader: Reader) -> None:
    model, _, _ = reader.text("Terraform (AWS provider 5.100)").partition('resource "aws_sagemaker_endpoint_config')
    with applied(reader.folder / "serverless", model.replace("by-terraform", "serverless") + SERVERLESS, reader.run):
        shown = reader.run("aws", "sagemaker", "describe-endpoint", "--endpoint-name", "serverless")
        (variant,) = json.loads(shown)["ProductionVariants"]
        assert variant["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 1
