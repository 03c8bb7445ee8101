"""How expressions refuse."""


class ExpressionError(Exception):
    """A template expression is malformed or can't be evaluated; `code` is ARM's."""

    def __init__(self, message: str, code: str = "InvalidTemplate") -> None:
        super().__init__(message)
        self.code = code


class NotKnownHere(ExpressionError):
    """The refusal of what the engine may well know and we do not: never a guess."""


def unknown(what: str) -> NotKnownHere:
    return NotKnownHere(f"The local cloud does not know {what}.")
