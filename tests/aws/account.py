"""An account of AWS that only tells: quotas, prices, and what spot instances cost. Its answers have the members that
AWS's have, and are written by botocore's models."""

import datetime
import fnmatch
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localstack.aws.protocol.serializer import create_serializer
from localstack.aws.spec import load_service

from tests.aws import wire
from tests.aws.wire import AwsError, HttpRequest, HttpResponse

_PAGE = 2  # of quotas and products, so that every list has several pages


def product(usage_type: str, region: str, *tiers: tuple[float, str], **attributes: str) -> str:
    """An entry of a PriceList: a text that is JSON. A tier is where it begins and its price in US dollars."""
    dimensions = {
        f"S.T.{n}": {"beginRange": f"{begin:g}", "pricePerUnit": {"USD": usd}} for n, (begin, usd) in enumerate(tiers)
    }
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage_type, "regionCode": region, **attributes}},
            "terms": {"OnDemand": {"S.T": {"priceDimensions": dimensions}}, "Reserved": {}},
        }
    )


def quota(service: str, name: str, code: str, value: float) -> dict[str, Any]:
    """A quota of a service."""
    return {"ServiceCode": service, "QuotaName": name, "QuotaCode": code, "Value": value}


@dataclass
class Account:
    """Its quotas as applied and as AWS's defaults, the products by service, and spot prices by type and zone. What it
    is not asked to tell it refuses, as AWS refuses a caller without rights."""

    applied: list[dict[str, Any]] = field(default_factory=list)
    defaults: list[dict[str, Any]] = field(default_factory=list)
    products: dict[str, list[str]] = field(default_factory=dict)
    spot: dict[str, dict[str, str]] = field(default_factory=dict)

    def send(self, request: HttpRequest) -> HttpResponse:
        """As tests/aws/backends.py has it."""
        asked = wire.read(request)
        answers: Mapping[str, Callable[[dict[str, Any]], Any]] = {
            "GetServiceQuota": lambda members: self._quota(self.applied, members),
            "GetAWSDefaultServiceQuota": lambda members: self._quota(self.defaults, members),
            "ListServiceQuotas": lambda members: self._quotas(self.applied, members),
            "ListAWSDefaultServiceQuotas": lambda members: self._quotas(self.defaults, members),
            "GetCallerIdentity": lambda _: {
                "Account": "123456789012",
                "Arn": "arn:aws:iam::123456789012:user/u",
                "UserId": "U",
            },
            "GetProducts": self._products,
            "DescribeSpotPriceHistory": self._spot,
        }
        answer_of = answers.get(asked.operation)
        found = answer_of(asked.members) if answer_of else AwsError("AccessDeniedException", "it only tells")
        if isinstance(found, AwsError):
            return wire.write(found, asked, request)
        model = load_service(asked.service)
        answer = create_serializer(model).serialize_to_response(
            found, model.operation_model(asked.operation), dict(request.headers), "11111111-2222-3333-4444-555555555555"
        )
        return HttpResponse(200, tuple(answer.headers.items()), answer.data)

    @staticmethod
    def _quota(quotas: list[dict[str, Any]], members: dict[str, Any]) -> Any:
        for one in quotas:
            if (one["ServiceCode"], one["QuotaCode"]) == (members["ServiceCode"], members["QuotaCode"]):
                return {"Quota": one}
        return AwsError("NoSuchResourceException", "The request failed because the specified resource does not exist.")

    @staticmethod
    def _quotas(quotas: list[dict[str, Any]], members: dict[str, Any]) -> Any:
        found = [one for one in quotas if one["ServiceCode"] == members["ServiceCode"]]
        return _page("Quotas", found, members)

    def _products(self, members: dict[str, Any]) -> Any:
        found = [text for text in self.products.get(members["ServiceCode"], []) if _passes(text, members["Filters"])]
        return _page("PriceList", found, members)

    def _spot(self, members: dict[str, Any]) -> Any:
        (name,) = members["InstanceTypes"]
        zones = self.spot.get(name, {})
        history = [
            {
                "AvailabilityZone": zone,
                "InstanceType": name,
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": usd,
                "Timestamp": datetime.datetime.now(datetime.UTC),
            }
            for zone, usd in zones.items()
        ]
        return {"SpotPriceHistory": history, "NextToken": ""}


def _page(name: str, found: list[Any], members: dict[str, Any]) -> dict[str, Any]:
    begin = int(members.get("NextToken") or 0)
    end = begin + _PAGE
    more = {"NextToken": str(end)} if end < len(found) else {}
    return {name: found[begin:end], **more}


def _passes(text: str, filters: list[dict[str, str]]) -> bool:
    attributes = json.loads(text)["product"]["attributes"]
    patterns = {"EQUALS": "{}", "TERM_MATCH": "{}", "CONTAINS": "*{}*"}
    return all(
        fnmatch.fnmatchcase(attributes.get(one["Field"], ""), patterns[one["Type"]].format(one["Value"]))
        for one in filters
    )
