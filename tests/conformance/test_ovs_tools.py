"""Command lines of Open vSwitch's tools on both switches: every difference has a reason, and the table says so."""

from __future__ import annotations

import pytest

from lab import ovs
from tests.conformance.ovs_tools import APPCTL, OFCTL, REASONS, TABLE, VSCTL, Answer, Row, measure


@pytest.mark.parametrize(
    ("theirs", "ours", "verdict"),
    [
        (Answer(0, "a\n"), Answer(0, "a\n"), "same"),
        (Answer(0, "a 1.5s\nb\n"), Answer(0, "b\na 22s\n"), "same but for names"),
        (Answer(0, "netdev@ovs-netdev: x\n"), Answer(0, "ebpf@br0: x\n"), "same but for names"),
        (Answer(0, "a\n"), Answer(0, "b\n"), "differs"),
        (Answer(2, "no\n"), Answer(2, "no, never\n"), "same with more words"),
        (Answer(2, "no\n"), Answer(2, "never\n"), "differs"),
        (Answer(0, "no\n"), Answer(0, "no\nno\n"), "differs"),
        (Answer(0, "a\n"), Answer(2, "no such verb\n"), "missing"),
    ],
)
def test_answers_are_compared_without_figures_and_names(theirs: Answer, ours: Answer, verdict: str) -> None:
    assert Row("x", theirs, ours).verdict == verdict


def test_the_table_has_every_line_and_reasons_are_for_lines_that_there_are() -> None:
    lines = [f"ovs-{tool} {line}" for tool, all_ in _TOOLS for line in all_.splitlines()]

    assert len(lines) >= 60
    assert [line for line in TABLE.read_text().splitlines()[2:] if not line.startswith(" ")] == lines
    assert REASONS.keys() <= set(lines)


_TOOLS = (("ofctl", OFCTL), ("appctl", APPCTL), ("vsctl", VSCTL))


@pytest.mark.root
@pytest.mark.skipif(not ovs.is_installed(), reason="no Open vSwitch to compare with")
def test_nothing_differs_without_a_reason() -> None:
    rows = measure()

    assert [row for row in rows if row.verdict in ("missing", "differs") and not row.reason] == []
