"""The deployer's role beside AWS's own list of actions. tests/aws/test_deploy.py deploys and destroys with no other."""

import re
from dataclasses import replace

from infra.deployer import deployer
from infra.ec2.settings import Ec2Settings
from infra.encryption.settings import EncryptionSettings
from infra.settings import DeploymentSettings
from stagemaker.access.catalog import find_action
from tests.aws.deployer_keys import blueprint_of

ANY_KIND = ":*/"  # in an ARN that is of every kind of a service
ENDS = (("*", "x"), (":*", ":log-stream:x"))  # what may stand for the end of an ARN


def test_iam_knows_each_action_and_can_narrow_it_to_one_of_its_resources() -> None:
    encryption = EncryptionSettings("1234abcd-12ab-34cd-56ef-1234567890ab")
    settings = DeploymentSettings(project="mine", encryption=encryption, ec2=Ec2Settings(market="spot"))
    for statement in deployer(replace(blueprint_of("mine"), settings=settings)).statements:
        for name in statement.actions:
            action = find_action(*name.split(":"))
            assert action is not None, name
            if statement.resources == ("*",):
                continue
            assert action.resources, f"{name} knows no resources"
            named = [about for about in statement.resources if ANY_KIND not in about]
            samples = [about.replace(end, some).replace("*", "x") for about in named for end, some in ENDS]
            patterns = [kind.pattern for kind in action.resources]
            assert not samples or any(re.fullmatch(one, about) for one in patterns for about in samples), name
