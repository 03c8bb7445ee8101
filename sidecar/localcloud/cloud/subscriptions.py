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
                "metadata": {"regionType": "Physical", "regionCategory": "Recommended", "geographyGroup": "Local"},
            }
            for name, shown in cloud.settings.locations.items()
        ]
    }


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
