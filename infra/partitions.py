"""The partitions of AWS: China and GovCloud (US) are apart from the rest, with other ARNs and other addresses.

Pure but for botocore's own table (`partitions.json`), which is read once.
"""

import re
from dataclasses import dataclass
from functools import cache

from botocore.loaders import Loader

# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/region-info/lib/default.ts: in China these have the
# partition's own ending; all others of ours, SageMaker's and Lambda's too, end the same everywhere.
_OWN_PRINCIPALS = {("aws-cn", "ec2")}
_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True)
class Partition:
    """`name` is what follows `arn:`, such as aws-cn; `dns_suffix` ends its addresses, such as amazonaws.com.cn."""

    name: str
    dns_suffix: str

    def arn(self, service: str, resource: str, region: str = "", account: str = "") -> str:
        """`arn:<partition>:<service>:<region>:<account>:<resource>`."""
        return f"arn:{self.name}:{service}:{region}:{account}:{resource}"

    def principal(self, service: str) -> str:
        """How a role's trust names the service, such as `sagemaker`."""
        return f"{service}.{self.dns_suffix if (self.name, service) in _OWN_PRINCIPALS else 'amazonaws.com'}"

    def console(self, region: str, page: str) -> str:
        """The address of a page of the console, such as `cloudwatch/home`."""
        return f"https://{region}.{_CONSOLES.get(self.name, 'console.aws.amazon.com')}/{page}?region={region}"


@cache
def of_region(region: str) -> Partition:
    """The partition that has the region; AWS's largest for one that botocore does not know yet."""
    table = Loader().load_data("partitions")["partitions"]
    for one in table:
        if region in one["regions"] or re.match(one["regionRegex"], region):
            return Partition(one["id"], one["outputs"]["dnsSuffix"])
    return Partition("aws", "amazonaws.com")
