"""ResourceId: the address of a resource in ARM, read from a path and written as one."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ResourceId:
    """`/subscriptions/S[/resourceGroups/G]/providers/N/T/name[/T/name…]`, possibly on another resource (`scope`)."""

    scope: str
    """What stands before the last `/providers/`: a subscription, a group or another resource; "" is the tenant."""
    type: str
    """`Microsoft.App/containerApps`, child types joined on."""
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def text(self) -> str:
        namespace, *types = self.type.split("/")
        pairs = "".join(f"/{kind}/{name}" for kind, name in zip(types, self.names, strict=True))
        return f"{self.scope}/providers/{namespace}{pairs}"

    @property
    def key(self) -> str:
        return self.text.lower()

    @property
    def subscription(self) -> str:
        return _part(self.scope, "subscriptions")

    @property
    def group(self) -> str | None:
        return _part(self.scope, "resourceGroups") or None

    @property
    def parent(self) -> "ResourceId | None":
        if len(self.names) < 2:
            return None
        return ResourceId(self.scope, self.type.rsplit("/", 1)[0], self.names[:-1])

    def child(self, kind: str, name: str) -> "ResourceId":
        return ResourceId(self.scope, f"{self.type}/{kind}", (*self.names, name))


def parse_resource_id(text: str) -> ResourceId | None:
    """The id that `text` is; None where it is not the id of a resource of a provider."""
    at = text.lower().rfind("/providers/")
    if at < 0:
        return None
    namespace, *rest = text[at + len("/providers/") :].strip("/").split("/")
    if not rest or len(rest) % 2 or not all(rest):
        return None
    return ResourceId(text[:at].rstrip("/"), "/".join((namespace, *rest[::2])), tuple(rest[1::2]))


def group_id(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def _part(path: str, kind: str) -> str:
    found = re.search(rf"/{kind}/([^/]+)", path, re.IGNORECASE)
    return found.group(1) if found else ""
