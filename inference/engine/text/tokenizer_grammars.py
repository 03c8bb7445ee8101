"""Compiled grammars by tokenizer: the base's, and those of adapters that bring one."""

from weakref import WeakKeyDictionary

from inference.engine.text.grammar import Grammars
from inference.engine.text.tokenizer import Tokenizer


class TokenizerGrammars:
    """The grammars of the base's tokenizer, and of those that adapters bring as long as they are there."""

    def __init__(self, base: Tokenizer) -> None:
        self._base = base
        self._of_base = Grammars(base.fast, base.eos)
        self._others: WeakKeyDictionary[Tokenizer, Grammars] = WeakKeyDictionary()

    def of(self, tokenizer: Tokenizer) -> Grammars:
        """To be called by one thread only."""
        if tokenizer.fast is self._base.fast and tokenizer.eos == self._base.eos:
            return self._of_base
        found = self._others.get(tokenizer)
        if found is None:
            found = self._others[tokenizer] = Grammars(tokenizer.fast, tokenizer.eos)
        return found
