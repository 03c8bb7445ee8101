"""Values of templates as what they are known to be: JSON has no types that the compiler sees."""

from typing import Any


def as_list(value: Any) -> list[Any]:
    """A value that is known to be an array."""
    return value


def as_object(value: Any) -> dict[str, Any]:
    """A value that is known to be an object."""
    return value
