"""A minute of the os-ken switch tester: every suite that compares packets, some of its cases.

`make conformance` runs all of it, on Open vSwitch too. Here a case may only fail for a reason that known.md gives, and
none that Open vSwitch passed when it was last measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.cases import Case, load
from tests.conformance.report import load as last_results
from tests.conformance.report import reason
from tests.conformance.results import Outcome
from tests.conformance.run import measure

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(180)]

EVERY = {"of10/action": 3, "of10/match": 5, "of13/action": 5, "of13/match": 7}
"""Steps through the cases: files hold 3, 4, 6, 9 or 12, so that these steps meet every kind of outcome."""


@pytest.fixture(scope="module")
def beds() -> Iterator[dict[str, Future[list[Outcome]]]]:
    """The outcomes to come of each suite: beds of their own at the same time, as the tester mostly waits."""
    with ThreadPoolExecutor(len(EVERY)) as pool:
        yield {suite: pool.submit(measure, "inband", chosen(suite)) for suite in EVERY}


def chosen(suite: str) -> list[Case]:
    """The cases of a suite that are run."""
    return load([suite])[:: EVERY[suite]]


@pytest.mark.parametrize("suite", EVERY)
def test_cases_of_the_switch_tester_pass_or_fail_for_a_known_reason(
    beds: dict[str, Future[list[Outcome]]], suite: str
) -> None:
    cases = chosen(suite)

    outcomes = beds[suite].result()

    failed = {case.key: outcome.reason for case, outcome in zip(cases, outcomes, strict=True) if not outcome.passed}
    assert {key: why for key, why in failed.items() if not reason(key)} == {}


def test_open_vswitch_passed_no_case_that_ours_did_not_when_both_were_last_measured() -> None:
    table = last_results()

    assert table.missing() == []
    assert table.unexplained() == []
