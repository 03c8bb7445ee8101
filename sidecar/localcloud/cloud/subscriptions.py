"""Subscriptions, tenants and locations: what ARM shows of them, and which locations there are."""

from sidecar.localcloud.cloud.cloud import LocalCloud
from sidecar.localcloud.core.errors import invalid
from sidecar.localcloud.core.fields import Json
from sidecar.localcloud.core.identity import Subscription


def show_subscription(subscription: Subscription) -> Json:
    return {
        "id": f"/subscriptions/{subscription.id}",
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant,
        "displayName": subscription.name,
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def show_tenants(cloud: LocalCloud) -> Json:
    return {
        "value": [
            {
                "id": f"/tenants/{tenant}",
                "tenantId": tenant,
                "tenantCategory": "Home",
                "displayName": f"Local cloud {number + 1}" if number else "Local cloud",
                "countryCode": "US",
                "country": "United States",
                "domains": ["localhost"],
                "tenantType": "AAD",
            }
            for number, tenant in enumerate(cloud.directory.tenants)
        ]
    }


def show_locations(cloud: LocalCloud, subscription: Subscription) -> Json:
    return {
        "value": [
            {
                "id": f"/subscriptions/{subscription.id}/locations/{name}",
                "name": name,
                "type": "Region",
                "displayName": shown,
                "regionalDisplayName": shown,
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", **_where(name)},
            }
            for name, shown in cloud.settings.locations.items()
        ]
    }


_PLACES = {
    "westus3": ("US", 33.448376, -112.074036),
    "swedencentral": ("Europe", 60.67488, 17.14127),
    "australiaeast": ("Asia Pacific", -33.86, 151.2094),
    "eastus": ("US", 37.3719, -79.8164),
    "eastus2": ("US", 36.6681, -78.3889),
    "westeurope": ("Europe", 52.3667, 4.9),
    "northeurope": ("Europe", 53.3478, -6.2597),
    "brazilsouth": ("South America", -23.55, -46.633),
    "italynorth": ("Europe", 45.46888, 9.18109),
    "westus": ("US", 37.783, -122.417),
    "westus2": ("US", 47.233, -119.852),
    "centralindia": ("Asia Pacific", 18.5822, 73.9197),
    "francecentral": ("Europe", 46.3772, 2.373),
    "japaneast": ("Asia Pacific", 35.68, 139.77),
    "northcentralus": ("US", 41.8819, -87.6278),
    "southcentralus": ("US", 29.4167, -98.5),
    "southeastasia": ("Asia Pacific", 1.283, 103.833),
    "southindia": ("Asia Pacific", 12.9822, 80.1636),
    "koreacentral": ("Asia Pacific", 37.5665, 126.978),
}
"""Geography, latitude and longitude, as Azure tells them."""


def _where(name: str) -> Json:
    """Of a region that only settings know there is nothing to tell."""
    if name not in _PLACES:
        return {"geographyGroup": "Local"}
    group, latitude, longitude = _PLACES[name]
    return {"geographyGroup": group, "latitude": f"{latitude}", "longitude": f"{longitude}"}


def normal_location(cloud: LocalCloud, location: str) -> str:
    """`West US 3` and `westus3` are the same place; an unknown one is refused as ARM refuses it."""
    short = location.replace(" ", "").lower()
    if short not in cloud.settings.locations:
        known = ",".join(cloud.settings.locations)
        raise invalid(
            f"The provided location '{location}' is not available for resource group. List of available regions is "
            f"'{known}'.",
            "LocationNotAvailableForResourceGroup",
        )
    return short
