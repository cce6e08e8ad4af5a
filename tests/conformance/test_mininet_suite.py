"""Mininet's own tests on this switch: the quickest of those that need ovs-vsctl, and the table of all of them."""

from __future__ import annotations

import pytest

from tests.conformance.mininet_suite import ALWAYS, CLASS, PART, RESULT, TESTS, UNMODIFIED, WHY, table, verdict


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["test_numberedports", "test_scratchnet", "test_hwintf"])
def test_a_file_of_mininets_tests_passes_with_its_own_switch_class(name: str) -> None:
    assert verdict(name, UNMODIFIED) == ("passes", PART.get(name, ("", ""))[1])


def test_what_cannot_pass_is_not_run_and_says_why() -> None:
    assert verdict("test_sshd", UNMODIFIED) == ("cannot", "no sshd is installed")
    assert verdict("test_mobility", CLASS)[0] == "cannot"
    assert WHY[UNMODIFIED] is ALWAYS


def test_the_table_counts_what_passes_by_column() -> None:
    said = table({"test_a": [("cannot", "why"), ("passes", "")], "test_b": [("passes", ""), ("passes", "")]})

    assert "2 files: 1 pass with `inband mininet`" in said
    assert "\n2 with Mininet's own OVSSwitch" in said
    assert "test_a                   cannot   passes     why\n" in said


def test_the_table_names_every_file_and_none_fails() -> None:
    rows = RESULT.read_text().splitlines()[4:]

    assert [row.split()[0] for row in rows] == sorted(path.stem for path in TESTS.glob("test_*.py"))
    assert not [row for row in rows if "fails" in row.split()[1:3]]
