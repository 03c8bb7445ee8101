"""What everybody needs of an adapter who does not serve it: the base's slot, and the error of one that does not fit."""

BASE_SLOT = 0


class AdapterError(ValueError):
    """An adapter that cannot be loaded or unloaded as asked."""
