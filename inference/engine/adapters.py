"""LoRA adapters being served: which are there, which slot and hash each has, and which were refused and why."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from inference.engine.folder import AdapterFolder, FolderError, check_adapter, find_adapters
from inference.engine.tokenizer import Tokenizer

log = logging.getLogger(__name__)

BASE_SLOT = 0


class AdapterError(ValueError):
    """An adapter that cannot be loaded or unloaded as asked."""


@dataclass(frozen=True)
class InstalledAdapter:
    """What a request needs to know of its adapter. Slot 0 is the base; each load has a salt of its own."""

    name: str
    slot: int
    salt: int
    digest: str
    path: Path | None
    tokenizer: Tokenizer | None = None  # None: the base's


BASE = InstalledAdapter("", BASE_SLOT, 0, "", None)


class Adapters:
    """The table of adapters. `install` and `remove` move one into or out of the engine's slots.

    A request holds its adapter while it runs: an unloaded or replaced one keeps its slot until its last request ends.
    """

    def __init__(
        self,
        mount: Path,
        slots: int,
        install: Callable[[int, AdapterFolder], None],
        remove: Callable[[int], None],
        tokenizer_of: Callable[[AdapterFolder], Tokenizer | None] = lambda folder: None,
    ) -> None:
        self._mount = mount
        self._slots = slots
        self._install = install
        self._remove = remove
        self._tokenizer_of = tokenizer_of
        self._table: dict[str, InstalledAdapter] = {}
        self._refused: dict[str, str] = {}
        self._holders: dict[int, int] = {}  # slot → requests under way
        self._retired: set[int] = set()
        self._salts = count(1)
        self._changing = threading.Lock()  # one load or unload at a time
        self._guard = threading.Lock()  # the tables above

    @property
    def installed(self) -> Mapping[str, InstalledAdapter]:
        with self._guard:
            return dict(self._table)

    @property
    def refused(self) -> Mapping[str, str]:
        with self._guard:
            return dict(self._refused)

    def load_all(self, note: Callable[[int, int], None]) -> None:
        """Loads every adapter found under the mount; one that cannot be is refused by name, the others go on."""
        found = find_adapters(self._mount)
        for done, (name, path) in enumerate(found.items()):
            note(done, len(found))
            try:
                self.load(name, path)
            except (AdapterError, FolderError) as error:
                log.warning("adapter %s is refused: %s", name, error)

    def load(self, name: str, path: Path) -> InstalledAdapter:
        """Loads or replaces an adapter; requests under way keep the one that they began with."""
        with self._changing:
            try:
                folder = check_adapter(name, path, self._mount)
                tokenizer = self._tokenizer_of(folder)
                slot = self._free_slot()
                self._install(slot, folder)
            except (FolderError, AdapterError, OSError) as error:
                with self._guard:
                    self._refused[name] = str(error)
                raise
            except (RuntimeError, MemoryError) as error:  # the device's memory is full, above all
                said = f"{path} cannot be loaded: {type(error).__name__}: {str(error).splitlines()[0] or 'no reason'}"
                with self._guard:
                    self._refused[name] = said
                raise AdapterError(said) from error
            fresh = InstalledAdapter(name, slot, next(self._salts), folder.digest, path, tokenizer)
            with self._guard:
                self._refused.pop(name, None)
                old = self._table.get(name)
                self._table[name] = fresh
                self._holders[slot] = 0
                shared = old is not None and any(other.slot == old.slot for other in self._table.values())
            if old is not None and not shared:
                self._retire(old.slot)
            log.info("adapter %s is loaded (%s)", name, fresh.digest[:12])
            return fresh

    def alias(self, name: str, of: str) -> InstalledAdapter:
        """A second name for a loaded adapter."""
        with self._guard:
            if of not in self._table:
                raise AdapterError(f"adapter {of!r} is not loaded")
            self._table[name] = replace(self._table[of], name=name)
            return self._table[name]

    def unload(self, name: str) -> None:
        with self._changing:
            with self._guard:
                if name not in self._table:
                    raise AdapterError(f"adapter {name!r} is not loaded")
                old = self._table.pop(name)
                shared = any(other.slot == old.slot for other in self._table.values())
            if not shared:
                self._retire(old.slot)
            log.info("adapter %s is unloaded", name)

    def hold(self, name: str) -> InstalledAdapter | None:
        """The adapter for one request, which must be let go of afterwards; None when there is none of that name."""
        with self._guard:
            found = self._table.get(name)
            if found is not None:
                self._holders[found.slot] += 1
            return found

    def let_go(self, adapter: InstalledAdapter) -> None:
        if adapter.slot == BASE_SLOT:
            return
        with self._guard:
            self._holders[adapter.slot] -= 1

    def _free_slot(self) -> int:
        """A slot that nothing uses, taking back those of retired adapters whose last request has ended."""
        with self._guard:
            used = {adapter.slot for adapter in self._table.values()}
            done = {slot for slot in self._retired if self._holders.get(slot, 0) == 0}
            self._retired -= done
            free = set(range(1, self._slots + 1)) - used - self._retired
            if not free:
                raise AdapterError(f"all {self._slots} adapter slots are taken; unload one (SLIPWAY_MAX_ADAPTERS)")
            slot = min(free)
        if done:
            for old in done:
                self._remove(old)
        return slot

    def _retire(self, slot: int) -> None:
        with self._guard:
            if self._holders.get(slot, 0):
                self._retired.add(slot)
                return
        self._remove(slot)
