"""LoRA adapters being served: which are there, which slot and hash each has, and which were refused and why."""

import logging
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from inference.engine.files.adapter import BASE_SLOT, AdapterError
from inference.engine.files.folder import (
    AdapterFolder,
    Fingerprint,
    FolderError,
    check_adapter,
    find_adapters,
    fingerprint,
)

if TYPE_CHECKING:
    from inference.engine.text.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class NoSlotError(AdapterError):
    """No slot is free now; that may change without the adapter's files changing."""


@dataclass(frozen=True)
class InstalledAdapter:
    """What a request needs to know of its adapter. Slot 0 is the base; each load has a salt of its own."""

    name: str
    slot: int
    salt: int
    digest: str
    path: Path | None
    tokenizer: "Tokenizer | None" = None  # None: the base's


@dataclass(frozen=True)
class Refusal:
    """Why an adapter is not served as its files are now; an earlier state of it may be."""

    reason: str
    path: Path


BASE = InstalledAdapter("", BASE_SLOT, 0, "", None)

# The device's memory is full, or the files hold what no adapter's hold: a word for a number, a broken pattern.
UNFIT = (RuntimeError, MemoryError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, re.error)


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
        tokenizer_of: "Callable[[AdapterFolder], Tokenizer | None]" = lambda folder: None,
    ) -> None:
        self._mount = mount
        self._slots = slots
        self._install = install
        self._remove = remove
        self._tokenizer_of = tokenizer_of
        self._table: dict[str, InstalledAdapter] = {}
        self._refused: dict[str, Refusal] = {}
        self._handled: dict[Path, Fingerprint] = {}  # folders as they were when loaded, refused or unloaded
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
            return {name: refusal.reason for name, refusal in self._refused.items()}

    @property
    def handled(self) -> Mapping[Path, Fingerprint]:
        """Every folder that was dealt with, and the state of its files then."""
        with self._guard:
            return dict(self._handled)

    def load_all(self, note: Callable[[int, int], None]) -> None:
        """Loads every adapter found under the mount; one that cannot be is refused by name, the others go on."""
        found = find_adapters(self._mount)
        for done, (name, path) in enumerate(found.items()):
            note(done, len(found))
            try:
                self.load(name, path)
            except (AdapterError, FolderError, OSError) as error:
                log.warning("adapter %s is refused: %s", name, error)

    def load(self, name: str, path: Path) -> InstalledAdapter:
        """Loads or replaces an adapter; requests under way keep the one that they began with."""
        with self._changing:
            try:
                before = fingerprint(path)  # a change while we read makes it differ from what is there afterwards
            except OSError as error:
                self._refuse(name, path, str(error), None)
                raise
            try:
                slot = self._free_slot(name)  # before anything is read: it may be asked for again and again
                folder = check_adapter(name, path, self._mount)
                tokenizer = self._tokenizer_of(folder)
                self._install(slot, folder)
            except (FolderError, AdapterError) as error:
                self._refuse(name, path, str(error), None if isinstance(error, NoSlotError) else before)
                raise
            except OSError as error:  # a share that does not answer may do so later
                self._refuse(name, path, str(error), None)
                raise
            except UNFIT as error:
                reason = f"{type(error).__name__}: {(str(error).splitlines() or ['no reason'])[0]}"
                said = f"{path} cannot be loaded: {reason}"
                self._refuse(name, path, said, before)
                raise AdapterError(said) from error
            fresh = InstalledAdapter(name, slot, next(self._salts), folder.digest, path, tokenizer)
            with self._guard:
                self._refused.pop(name, None)
                self._handled[path] = before
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
        with self._changing:
            with self._guard:
                if of not in self._table:
                    raise AdapterError(f"adapter {of!r} is not loaded")
                old = self._table.get(name)
                self._table[name] = fresh = replace(self._table[of], name=name)
                unused = old is not None and all(other.slot != old.slot for other in self._table.values())
            if old is not None and unused:
                self._retire(old.slot)
            return fresh

    def names_of(self, path: Path) -> list[str]:
        """The names under which a folder is served; of one that is refused, the name that it was to have."""
        with self._guard:
            served = [name for name, adapter in self._table.items() if adapter.path == path]
            return served or [name for name, refusal in self._refused.items() if refusal.path == path]

    def forget(self, path: Path) -> None:
        """Unloads whatever was loaded from a folder that is gone."""
        for adapter in self.installed.values():
            if adapter.path == path:
                self.unload(adapter.name)
        with self._guard:
            self._handled.pop(path, None)
            self._refused = {name: why for name, why in self._refused.items() if why.path != path}

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

    def keep(self, adapter: InstalledAdapter) -> None:
        """One more holder of an adapter that is held already, whatever the table has under its name now."""
        if adapter.slot != BASE_SLOT:
            with self._guard:
                self._holders[adapter.slot] += 1

    def let_go(self, adapter: InstalledAdapter) -> None:
        if adapter.slot == BASE_SLOT:
            return
        with self._guard:
            self._holders[adapter.slot] -= 1
            last = adapter.slot in self._retired and not self._holders[adapter.slot]
        if last:  # its memory is given back beside the event loop: that waits for the engine's step
            threading.Thread(target=self._give_back, name="adapters", daemon=True).start()

    def _give_back(self) -> None:
        """Empties the slots of retired adapters that no request uses any more."""
        with self._changing:
            with self._guard:
                done = {slot for slot in self._retired if not self._holders.get(slot, 0)}
                self._retired -= done
            for slot in done:
                self._remove(slot)

    def _refuse(self, name: str, path: Path, reason: str, state: Fingerprint | None) -> None:
        """`state` only when the files themselves are at fault: else the same files may be tried again. The reason is told to
        people, who know the share and not where it is mounted."""
        with self._guard:
            self._refused[name] = Refusal(reason.replace(f"{self._mount}{os.sep}", ""), path)
            if state is not None:
                self._handled[path] = state

    def _free_slot(self, name: str) -> int:
        """A slot that nothing uses. Replacing takes one for a moment, so there are more slots than adapters at a time."""
        with self._guard:
            used = {adapter.slot for adapter in self._table.values()}
            kept = {adapter.slot for adapter in self._table.values() if adapter.name != name}
            if len(kept) >= self._slots or len(self._retired) > self._slots:
                raise NoSlotError(f"all {self._slots} adapter slots are taken; unload one (SLIPWAY_MAX_ADAPTERS)")
            return next(slot for slot in count(1) if slot not in used and slot not in self._retired)

    def _retire(self, slot: int) -> None:
        with self._guard:
            if self._holders.get(slot, 0):
                self._retired.add(slot)
                return
        self._remove(slot)
