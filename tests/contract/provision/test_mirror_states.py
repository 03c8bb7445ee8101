"""Property: whatever is edited on either side, and wherever a run is cut off, nobody's work is lost unasked, and in the end the
share holds the tree."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sidecar.words.errors import CloudError, ConsentNeeded
from tests.contract.localcloud.conftest import World
from tests.support.plain_tree import Ground, new_account, new_ground

POOL = ("a.py", "b.py", "sub/c.py", "sub/deep/d.py")
PATHS = st.sampled_from(POOL)
CONTENTS = st.integers(0, 3).map(lambda number: "x" * number + str(number))
STRAY = "sub/stray.txt"


class Worlds:
    """What the machines share: a cloud, an account in it, and its faults."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.account = new_account(world)

    def fail(self, *rules: dict[str, Any]) -> None:
        answer = httpx.put(
            f"{self.world.arm}/admin/faults",
            json={"rules": list(rules), "seed": 0},
            headers={"Authorization": f"Bearer {self.world.known['adminToken']}"},
            verify=self.world.known["caFile"],
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


def machine_of(worlds: Worlds) -> type[RuleBasedStateMachine]:
    class Mirroring(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self._stack = ExitStack()
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            made = new_ground(worlds.world, worlds.account, folder, retry_total=0)
            self.ground: Ground = self._stack.enter_context(made)
            self.ground.local("always.py", "1")
            self.theirs: dict[str, str] = {}
            """What somebody else wrote on the share and nobody agreed to lose."""
            self.written: set[str] = set()
            """Where somebody else ever wrote."""

        def teardown(self) -> None:
            worlds.fail()
            for _ in range(2):  # in the end the share holds the tree, and what was put there by hand
                self.sync(agrees=True)
            there = self.ground.there
            stray = {path: said for path, said in there.items() if path not in self.local}
            assert {path: there[path] for path in self.local} == self.local
            assert set(stray) <= set(self.theirs), "only what somebody else wrote is there beside it"
            self._stack.close()

        @property
        def local(self) -> dict[str, str]:
            code = self.ground.code
            return {str(each.relative_to(code)): each.read_text() for each in code.rglob("*") if each.is_file()}

        @rule(path=PATHS, content=CONTENTS)
        def edit(self, path: str, content: str) -> None:
            self.ground.local(path, content)

        @rule(path=PATHS)
        def remove(self, path: str) -> None:
            (self.ground.code / path).unlink(missing_ok=True)

        @rule(path=st.one_of(PATHS, st.just(STRAY)), number=st.integers(0, 9))
        def somebody_edits(self, path: str, number: int) -> None:
            said = f"by hand {number}"
            self.ground.remote(path, said)
            self.theirs[path] = said
            self.written.add(path)

        @precondition(lambda self: self.theirs)
        @rule(number=st.integers(0, 9))
        def somebody_deletes(self, number: int) -> None:
            path = sorted(self.theirs)[number % len(self.theirs)]
            del self.theirs[path]
            (self.ground.disk / "code" / path).unlink(missing_ok=True)

        @rule(agrees=st.booleans())
        def sync(self, agrees: bool) -> None:
            try:
                self.ground.sync()
            except ConsentNeeded as asked:
                named = {each for each in (*POOL, STRAY) if each in str(asked.message)}
                assert named <= self.written - {STRAY}, "nobody is asked about our own files, or those that stay"
                if not agrees:
                    return
                for path in named:
                    self.theirs.pop(path, None)
                self.ground.sync(asked.consent)
            self.manifest_is_true()

        @rule(skip=st.integers(0, 14), kind=st.sampled_from(["reset-before", "reset-after"]), agrees=st.booleans())
        def cut_off(self, skip: int, kind: str, agrees: bool) -> None:
            """The process ends at one of its requests, before or after that took effect: none of the later ones is made."""
            first = {"part": "files", "kind": kind, "skip": skip}
            worlds.fail(first, {"part": "files", "kind": "reset-before", "skip": skip, "times": None})
            try:
                self.sync(agrees)
            except CloudError:
                pass
            finally:
                worlds.fail()

        @invariant()
        def nobody_lost_their_work(self) -> None:
            there = self.ground.there
            assert {path: there.get(path) for path in self.theirs} == self.theirs

        def manifest_is_true(self) -> None:
            """After a run that was not cut off, the list names what is there, by content."""
            there = self.ground.there
            for path, (sha256, size, _) in self.ground.manifest["files"].items():
                if path not in self.theirs:
                    assert (hashlib.sha256(there[path].encode()).hexdigest(), len(there[path])) == (sha256, size)

    return Mirroring


def test_nobodys_work_is_lost_unasked_and_the_share_comes_to_hold_the_tree(world: World) -> None:
    worlds = Worlds(world)
    run_state_machine_as_test(
        machine_of(worlds),
        settings=settings(
            max_examples=6,
            stateful_step_count=8,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
        ),
    )
