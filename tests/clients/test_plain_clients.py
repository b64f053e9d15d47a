"""The blocks of docs/clients.md that CI runs: the AWS CLI, boto3, and Terraform where it is installed."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.clients.page import ENVIRONMENTS, Reader, blocks

# Where a machine without internet has Terraform's providers, in the layout of a mirror.
PROVIDERS = Path(os.environ.get("TERRAFORM_PLUGINS", "/opt/tf-plugins"))


NEEDS_TERRAFORM = pytest.mark.skipif(
    not (shutil.which("terraform") and PROVIDERS.is_dir()), reason="needs Terraform and its providers"
)
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


@NEEDS_TERRAFORM
def test_terraform_deploys_and_then_finds_nothing_to_change(reader: Reader) -> None:
    folder = reader.folder / "terraform"
    folder.mkdir()
    (folder / "main.tf").write_text(reader.text("Terraform (AWS provider 5.100)"))
    terraform = ("terraform", f"-chdir={folder}")
    reader.run(*terraform, "init", "-no-color", f"-plugin-dir={PROVIDERS}")
    reader.run(*terraform, "apply", "-no-color", "-auto-approve")
    reader.run(*terraform, "plan", "-no-color", "-detailed-exitcode")  # exits with 2 when something would change
    shown = reader.run("aws", "sagemaker", "describe-endpoint", "--endpoint-name", "by-terraform")
    assert json.loads(shown)["EndpointStatus"] == "InService"
    reader.run(*terraform, "destroy", "-no-color", "-auto-approve")


@NEEDS_TERRAFORM
def test_terraform_deploys_a_serverless_endpoint_and_then_finds_nothing_to_change(reader: Reader) -> None:
    folder = reader.folder / "serverless"
    folder.mkdir()
    model, _, _ = reader.text("Terraform (AWS provider 5.100)").partition('resource "aws_sagemaker_endpoint_config')
    (folder / "main.tf").write_text(model.replace("by-terraform", "serverless") + SERVERLESS)
    terraform = ("terraform", f"-chdir={folder}")
    reader.run(*terraform, "init", "-no-color", f"-plugin-dir={PROVIDERS}")
    reader.run(*terraform, "apply", "-no-color", "-auto-approve")
    reader.run(*terraform, "plan", "-no-color", "-detailed-exitcode")
    shown = reader.run("aws", "sagemaker", "describe-endpoint", "--endpoint-name", "serverless")
    (variant,) = json.loads(shown)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 1
    reader.run(*terraform, "destroy", "-no-color", "-auto-approve")
