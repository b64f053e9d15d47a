"""AWS's own prices: the Price List API, and what spot instances of EC2 cost now. Asked for a plan that goes to AWS, and
kept for a day in a file of the state folder. Nothing is changed in the account.

What AWS does not answer clearly is not taken: then the table of the repository has the price, or nobody.
"""

import datetime
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.prices.prices import UNITS, Key, Price, Prices

# The Price List API has few endpoints, which know the prices of all regions of their partition
# (https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html).
ENDPOINT_REGIONS = MappingProxyType({"aws": "us-east-1", "aws-cn": "cn-northwest-1"})
MAX_AGE_DAYS = 1  # of the file (ours)
BASIS = "AWS's Price List API"
SPOT_BASIS = "DescribeSpotPriceHistory: the mean of the newest price of each zone"
_URL = "https://api.pricing.{region}.amazonaws.com"
_SPOT_URL = "https://ec2.{region}.amazonaws.com"
_VERSION = 1
# For each usage the service's code and the usage type, which begins with a region's short name, such as EU-, but for
# us-east-1 in some services.
_USAGE_TYPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "training": ("AmazonSageMaker", "Train:{type}"),
        "hosting": ("AmazonSageMaker", "Host:{type}"),
        "notebook": ("AmazonSageMaker", "Notebk:{type}"),
        "volume": ("AmazonSageMaker", "Train:VolumeUsage.gp2"),
        "ec2": ("AmazonEC2", "BoxUsage:{type}"),
        "disk": ("AmazonEC2", "EBS:VolumeUsage.gp3"),
        "nat": ("AmazonEC2", "NatGateway-Hours"),
        "nat-data": ("AmazonEC2", "NatGateway-Bytes"),
        "interface-endpoint": ("AmazonVPC", "VpcEndpoint-Hours"),
        "public-address": ("AmazonVPC", "PublicIPv4:InUseAddress"),
        "duration": ("AWSLambda", "Lambda-GB-Second"),
        "provisioned": ("AWSLambda", "Lambda-Provisioned-Concurrency"),
        "storage": ("AmazonS3", "TimedStorage-ByteHrs"),
    }
)
# Of the many offers for an EC2 type, that of plain Linux on demand.
_LINUX = MappingProxyType(
    {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
)


@dataclass(frozen=True)
class Answer:
    """What AWS said: prices by the table's key, and why some could not be asked for, or nothing."""

    prices: Prices
    problem: str = ""


def read(client: Any, ec2: Any, region: str, wanted: Iterable[Key], today: datetime.date, cache: Path) -> Answer:
    """The prices that AWS answers for the keys, in the region. `client` is boto3's for `pricing`, `ec2` that for the
    region. What the file `cache` has of the last day is not asked for again. Writes the file, and nothing else."""
    found, missing = _cached(cache, region, today)
    problem = ""
    try:
        for key in dict.fromkeys(wanted):
            if key in found or key in missing:
                continue
            if price := _ask(client, ec2, region, *key, today):
                found[key] = price
            else:
                missing.add(key)
    except ClientError as error:
        problem = f"AWS refused to tell prices: {error.response['Error']['Code']}"
    except BotoCoreError as error:
        problem = f"AWS could not be asked for prices: {type(error).__name__}"
    _keep(cache, region, today, found, missing)
    return Answer(Prices({(usage, name, region): price for (usage, name), price in found.items()}), problem)


def _ask(client: Any, ec2: Any, region: str, usage: str, instance_type: str, today: datetime.date) -> Price | None:
    if usage == "ec2-spot":
        return _spot(ec2, region, instance_type, today)
    if usage not in _USAGE_TYPES:
        return None
    service, pattern = _USAGE_TYPES[usage]
    usage_type = pattern.format(type=instance_type)
    filters = [_filter("EQUALS", "regionCode", region), _filter("CONTAINS", "usagetype", usage_type)]
    if usage == "ec2":
        filters += [_filter("EQUALS", name, value) for name, value in _LINUX.items()]
    pages = client.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters)
    usd = usd_of((json.loads(text) for page in pages for text in page["PriceList"]), region, usage_type)
    if usd is None:
        return None
    source = _URL.format(region=client.meta.region_name)
    return Price(service, usage, instance_type, region, UNITS[usage], usd, today, source, f"{BASIS}: {usage_type}")


def _filter(sort: str, field: str, value: str) -> dict[str, str]:
    return {"Type": sort, "Field": field, "Value": value}


def usd_of(products: Iterable[Mapping[str, Any]], region: str, usage_type: str) -> float | None:
    """The price on demand in US dollars of the one product of this usage type in the region, for the first unit of a
    month; None where none or several differ. Pure."""
    named = re.compile(rf"([A-Z0-9]+-)?{re.escape(usage_type)}")
    found = set[float]()
    for product in products:
        attributes = product["product"]["attributes"]
        if attributes.get("regionCode") != region or not named.fullmatch(attributes.get("usagetype", "")):
            continue
        for term in product["terms"].get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                usd = float(dimension["pricePerUnit"].get("USD", 0))
                if usd > 0 and float(dimension.get("beginRange", 0)) == 0:
                    found.add(usd)
    return found.pop() if len(found) == 1 else None


def _spot(ec2: Any, region: str, instance_type: str, today: datetime.date) -> Price | None:
    history = ec2.describe_spot_price_history(
        InstanceTypes=[instance_type], ProductDescriptions=["Linux/UNIX"], StartTime=datetime.datetime.now(datetime.UTC)
    )["SpotPriceHistory"]  # from now on: the price that holds, once for each zone
    if not history:
        return None
    mean = sum(float(one["SpotPrice"]) for one in history) / len(history)
    source = _SPOT_URL.format(region=region)
    return Price("EC2", "ec2-spot", instance_type, region, UNITS["ec2-spot"], mean, today, source, SPOT_BASIS)


def _cached(path: Path, region: str, today: datetime.date) -> tuple[dict[Key, Price], set[Key]]:
    """What the file has of this region and the last day, and which prices there were none for; nothing where it is
    missing or cannot be read."""
    try:
        document = json.loads(path.read_text())
        read = datetime.date.fromisoformat(document["read"])
        prices = [Price(**{**row, "read": read}) for row in document["prices"]]
        missing = {(str(usage), str(name)) for usage, name in document["missing"]}
        is_fresh = 0 <= (today - read).days < MAX_AGE_DAYS
        if document["version"] != _VERSION or document["region"] != region or not is_fresh:
            return {}, set()
    except (OSError, ValueError, KeyError, TypeError):
        return {}, set()
    return {(one.usage, one.type): one for one in prices}, missing


def _keep(path: Path, region: str, today: datetime.date, found: Mapping[Key, Price], missing: Iterable[Key]) -> None:
    rows = [{name: value for name, value in asdict(price).items() if name != "read"} for price in found.values()]
    document = {"version": _VERSION, "region": region, "read": today.isoformat(), "prices": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({**document, "missing": sorted(missing)}, indent=1))
    draft.replace(path)
