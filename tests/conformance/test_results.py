"""What the switch tester prints is read rightly, and the table says what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import report
from tests.conformance.cases import SUITES, load, root, write
from tests.conformance.report import Table
from tests.conformance.results import Outcome, read

LOG = """\
target ofp version=openflow13
dpid=0000000000000001 : Join target SW.
--- Test start ---
of13/action/00_OUTPUT
    ethernet/ipv4/tcp-->'actions=output:2'                                                               OK
    ethernet/ipv6/tcp-->'actions=output:2'                                                               ERROR
        Receiving timeout: no change in tx_packets on target.
dpid=0000000000000001 : Leave target SW.
    ethernet/arp-->'actions=output:2'                                                                    OK
---  Test end  ---

--- Test report ---
Receiving timeout(1)
    of13/action/00_OUTPUT                    ethernet/ipv6/tcp-->'actions=output:2'
"""


def test_each_case_has_one_outcome_in_the_order_of_the_log() -> None:
    assert read(LOG) == [
        Outcome("ethernet/ipv4/tcp-->'actions=output:2'", True),
        Outcome(
            "ethernet/ipv6/tcp-->'actions=output:2'", False, "Receiving timeout: no change in tx_packets on target."
        ),
        Outcome("ethernet/arp-->'actions=output:2'", True),
    ]


def test_a_log_that_ends_anywhere_never_has_more_outcomes_than_the_whole() -> None:
    whole = [outcome.name for outcome in read(LOG)]

    for end in range(len(LOG)):
        names = [outcome.name for outcome in read(LOG[:end])]
        assert names == whole[: len(names)]


def test_every_suite_has_cases_and_no_two_share_a_key() -> None:
    cases = load()

    assert {case.suite for case in cases} == set(SUITES)
    assert len({case.key for case in cases}) == len(cases) > 1000


def test_a_folder_may_begin_in_the_middle_of_a_file(tmp_path: Path) -> None:
    cases = [case for case in load(["of10/action"]) if case.file.endswith("00_OUTPUT")]

    write(cases[1:], tmp_path / "cases")

    (only,) = (tmp_path / "cases").iterdir()
    assert f'["{cases[0].file}"' in only.read_text()
    assert only.read_text().count('"prerequisite"') == len(cases) - 1


def test_a_case_that_only_open_vswitch_passes_is_missing_and_one_without_a_reason_unexplained() -> None:
    first, second = load(["of10/action"])[:2]
    table = Table({})

    table.update("ovs", [first, second], [Outcome(first.name, True), Outcome(second.name, False, "x")])
    table.update("inband", [first, second], [Outcome(first.name, False, "y"), Outcome(second.name, False, "z")])

    assert table.missing() == [first.key]
    assert table.unexplained() == sorted([first.key, second.key])
    assert "0 of 2         1 of 2" in table.text()


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in report.known()])
def test_every_known_reason_is_about_some_case(pattern: str) -> None:
    reasons = {report.reason(case.key) for case in load()}

    assert dict(report.known())[pattern] in reasons


def test_the_cases_are_those_of_the_installed_os_ken() -> None:
    assert (root() / "tester.py").exists()
