"""The Retail Prices API: GET /api/retail/prices, for everybody. Its shape is Azure's; every price in it is made up."""

import re
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.capacity import offered_profiles
from sidecar.localcloud.core.fields import Json

_SERVICE = "Azure Container Apps"
_METERS = (
    ("Standard", "Standard vCPU Active Usage", "1 Second", 0.00003),
    ("Standard", "Standard vCPU Idle Usage", "1 Second", 0.000004),
    ("Standard", "Standard Memory Active Usage", "1 GiB Second", 0.000004),
    ("Standard", "Standard Memory Idle Usage", "1 GiB Second", 0.000004),
    ("Standard", "Standard Requests", "1M", 0.4),
    ("Dedicated", "Dedicated Plan Management", "1 Hour", 0.1),
    ("Dedicated", "Dedicated vCPU Usage", "1 Hour", 0.07),
    ("Dedicated", "Dedicated Memory Usage", "1 GiB Hour", 0.006),
    ("Dedicated", "Dedicated GPU Usage", "1 Hour", 2.5),
)
_GPUS = (("T4", "Standard NC T4 v3 GPU Usage", 0.0001), ("A100", "Standard NC A100 v4 GPU Usage", 0.0006))
_FREE = {"Standard vCPU Active Usage": 180_000, "Standard Memory Active Usage": 360_000, "Standard Requests": 2}
"""Units a month that cost nothing: a tier of its own."""


def price_routes(cloud: LocalCloud) -> list[Route]:
    async def prices(request: Request) -> Response:
        cloud.used()
        asked = request.query_params.get("$filter", "")
        regions = [each.lower() for each in re.findall(r"armRegionName eq '([^']*)'", asked)]
        if f"serviceName eq '{_SERVICE}'" not in asked:
            return JSONResponse(_shown([]))
        known = [each for each in regions or cloud.settings.locations if each in cloud.settings.locations]
        return JSONResponse(_shown([line for region in known for line in _lines(cloud, region)]))

    return [Route("/api/retail/prices", prices, methods=["GET"])]


def _shown(items: list[Json]) -> Json:
    return {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": items,
        "NextPageLink": None,
        "Count": len(items),
    }


def _lines(cloud: LocalCloud, region: str) -> list[Json]:
    offered = " ".join(offered_profiles(cloud.settings, region))
    gpus = [("Standard", name, "1 Second", price) for model, name, price in _GPUS if f"-{model}" in offered]
    found: list[Json] = []
    for sku, name, unit, price in (*_METERS, *gpus):
        if name in _FREE:
            found.append(_line(cloud, region, (sku, name, unit, 0.0, 0)))
        found.append(_line(cloud, region, (sku, name, unit, price, _FREE.get(name, 0))))
    return found


def _line(cloud: LocalCloud, region: str, meter: tuple[str, str, str, float, int]) -> Json:
    sku, name, unit, price, least = meter
    ident = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{name}"))
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": least,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": region,
        "location": cloud.settings.locations[region],
        "effectiveStartDate": "2026-01-01T00:00:00Z",
        "meterId": ident,
        "meterName": name,
        "productId": "DZH318Z0LOCAL",
        "skuId": f"DZH318Z0LOCAL/{ident[:4].upper()}",
        "productName": _SERVICE,
        "skuName": sku,
        "serviceName": _SERVICE,
        "serviceId": "DZH318Z0LOCAL",
        "serviceFamily": "Containers",
        "unitOfMeasure": unit,
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "",
    }
