"""The launch template of a host: what AWS gets to see of it."""

import base64
from dataclasses import replace

from infra.blueprint import Blueprint, Image
from infra.ec2.requests import Ami, ingress, launch_template, run_of
from infra.ec2.settings import Ec2Settings
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
IMAGE = Image("123456789012.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer@sha256:" + "ab" * 32, "its layers")


def test_the_same_settings_data_and_image_are_the_same_run() -> None:
    one = run_of(BLUEPRINT, Ec2Settings(), IMAGE)
    assert one == run_of(BLUEPRINT, Ec2Settings(), IMAGE)
    assert one.name != run_of(BLUEPRINT, Ec2Settings(hyperparameters={"epochs": "1"}), IMAGE).name
    assert one.name == run_of(BLUEPRINT, Ec2Settings(), Image("the same by another commit", IMAGE.content)).name
    assert one.image == IMAGE.reference
    assert one.results == f"s3://{BLUEPRINT.bucket}/models/ec2/{one.name}"
    assert one.channels["train"] == f"s3://{BLUEPRINT.bucket}/data/train/"


def test_a_host_is_closed_encrypted_and_ends_for_good() -> None:
    run = run_of(BLUEPRINT, Ec2Settings(volume_gb=10), IMAGE)
    data = launch_template(BLUEPRINT, Ec2Settings(volume_gb=10), run, Ami("ami-1", "/dev/sda1", 75))
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    (root,) = data["BlockDeviceMappings"]
    assert (root["DeviceName"], root["Ebs"]["VolumeSize"], root["Ebs"]["Encrypted"]) == ("/dev/sda1", 75, True)
    assert base64.b64decode(data["UserData"]).startswith(b"#!/bin/bash\n")
    assert "KeyName" not in data
    assert ingress("") == []


def test_ssh_is_open_to_one_block() -> None:
    (rule,) = ingress("203.0.113.7/32")
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"][0]["CidrIp"]) == (22, 22, "203.0.113.7/32")
    assert ingress("2001:db8::1/128")[0]["Ipv6Ranges"][0]["CidrIpv6"] == "2001:db8::1/128"


def test_the_volume_has_the_key_of_the_deployment() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    run, ami = run_of(BLUEPRINT, Ec2Settings(), IMAGE), Ami("ami-1", "/dev/sda1", 75)
    with_key = launch_template(replace(BLUEPRINT, key=key), Ec2Settings(), run, ami)
    check("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "mine", "LaunchTemplateData": with_key})
    assert with_key["BlockDeviceMappings"][0]["Ebs"].pop("KmsKeyId") == key
    assert with_key == launch_template(BLUEPRINT, Ec2Settings(), run, ami)
    assert run_of(replace(BLUEPRINT, key=key), Ec2Settings(), IMAGE) == run, "it is not trained anew"
