"""`npm run contract -- kindness`: the local cloud as kind as it once was, and which test of what Azure does turns red.

One row for each kindness that hid a defect of the product. A row is as expected when its tests fail, and all of them pass on
the local cloud as it is. Exits non-zero otherwise.
"""

import os
import subprocess
import sys
import time

from tests.contract.localcloud.conftest import ROOT
from tests.support.kind_cloud import KINDNESS

TESTS = ROOT / "tests" / "contract" / "localcloud"
PROOFS: dict[str, tuple[str, ...]] = {
    "replaces-at-once": ("test_a_restart_is_rolling_with_one_extra_and_no_request_fails",),
    "refuses-at-once": ("test_a_request_is_held_until_a_replica_is_ready_and_then_answered",),
    "says-it-on-the-replica": ("test_a_container_that_ends_again_and_again",),
    "says-nothing-of-a-revision": ("test_an_app_that_listens_elsewhere_is_told_so",),
    "weighs-by-readiness": ("test_a_rollout_in_single_mode_serves_with_the_old_one_until_the_new_one_is_ready",),
    "provisions-when-ready": ("test_a_rollout_in_single_mode_serves_with_the_old_one_until_the_new_one_is_ready",),
    "never-fails": ("test_a_container_that_ends_again_and_again",),
    "tries-once": (
        "test_a_wrong_key_is_accepted_and_the_mount_fails_at_each_start_until_it_is_right",
        "test_a_registry_that_takes_its_consent_back_is_met_at_the_node_and_recovers_by_itself",
    ),
    "leaves-at-once": ("test_a_rollout_in_single_mode_serves_with_the_old_one_until_the_new_one_is_ready",),
    "keeps-its-port": ("test_a_changed_port_rolls_the_same_revision_and_the_old_replica_is_asked_on_it",),
    "has-one-address": ("test_in_multiple_mode_a_revision_that_is_never_ready_keeps_its_share",),
    "takes-any-image": ("test_an_image_that_is_refused_fails_the_write_and_leaves_an_app_without_anything",),
    "has-two-gpus": ("test_with_one_gpu_a_restart_never_ends_and_nothing_says_so",),
}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in PROOFS]
    if unknown or PROOFS.keys() != KINDNESS.keys():
        print(f"known: {', '.join(PROOFS)}; strange: {unknown or set(PROOFS) ^ set(KINDNESS)}")
        return 2
    chosen = arguments or list(PROOFS)
    began = time.monotonic()
    control = outcomes("", sorted({test for name in chosen for test in PROOFS[name]}))
    wrong = [f"{test} is red on the cloud as it is" for test, passed in control.items() if not passed]
    for name in chosen:
        turned = outcomes(name, PROOFS[name])
        for test, passed in turned.items():
            print(f"{name:28} {'GREEN' if passed else 'red':6} {test}", flush=True)
            wrong += [f"{test} does not notice {name}"] if passed else []
    print("\n".join(wrong))
    print(
        f"kindness: {len(chosen) - len({each.rpartition(' ')[2] for each in wrong})} of {len(chosen)} turn their tests red, "
        f"{len(control)} tests green without ({time.monotonic() - began:.0f} s)"
    )
    return 1 if wrong else 0


def node(test: str) -> str:
    """The id of a test by its name: which file it stands in may change."""
    (file,) = [each for each in TESTS.rglob("test_*.py") if f"\ndef {test}(" in each.read_text(encoding="utf-8")]
    return f"{file.relative_to(ROOT).as_posix()}::{test}"


def outcomes(kindness: str, tests: list[str] | tuple[str, ...]) -> dict[str, bool]:
    """Whether each test passed; one that did not run at all is an error of this command, not a red one."""
    environment = {**os.environ, "SLIPWAY_KINDNESS": kindness}
    names = [node(test) for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider", *names]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    found = {test: f"PASSED {name}" in done.stdout for test, name in zip(tests, names, strict=True)}
    failed = {test: f"FAILED {name}" in done.stdout for test, name in zip(tests, names, strict=True)}
    missing = [test for test in tests if not found[test] and not failed[test]]
    if missing:
        raise SystemExit(f"{missing} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
