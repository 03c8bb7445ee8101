"""How this room refuses."""


class Malformed(ValueError):
    """What .NET refuses too; the text is its reason, where it has one."""


class NotKnown(Exception):
    """What .NET may well do and this room does not know: never a guess. The text names it."""
