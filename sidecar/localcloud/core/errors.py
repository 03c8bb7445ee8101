"""ARM's error: status, code, message, target, details. A value: the doors make responses of it."""

from typing import Any


class ArmError(Exception):
    """An answer of Azure Resource Manager that is not a success."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details or []
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The inner error object, as operations and deployments carry it."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target:
            error["target"] = self.target
        if self.details:
            error["details"] = self.details
        return error


def not_found(resource_type: str, name: str, group: str | None) -> ArmError:
    where = f" under resource group '{group}' was not found" if group else " was not found"
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type}/{name}'{where}. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def invalid(message: str, code: str = "InvalidRequestContent", target: str | None = None) -> ArmError:
    return ArmError(400, code, message, target=target)
