"""Command lines of Open vSwitch's tools on both switches: every difference has a reason, and the table says so."""

from __future__ import annotations

import pytest

from lab import ovs
from tests.conformance.ovs_mistakes import MISTAKES
from tests.conformance.ovs_tools import EVERYDAY, Answer, Lines, Row, measure


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
        (
            Answer(1, "2026-11-29T08:55:13Z|00001|a\n"),
            Answer(1, "2026-11-29T08:55:20Z|00001|a\n"),
            "same but for names",
        ),
    ],
)
def test_answers_are_compared_without_figures_and_names(theirs: Answer, ours: Answer, verdict: str) -> None:
    assert Row("x", theirs, ours).verdict == verdict


@pytest.mark.parametrize("lines", [EVERYDAY, MISTAKES], ids=["everyday", "mistakes"])
def test_the_table_has_every_line_and_reasons_are_for_lines_that_there_are(lines: Lines) -> None:
    assert len(list(lines)) >= 100
    assert [line for line in lines.file.read_text().splitlines()[2:] if not line.startswith(" ")] == list(lines)
    assert lines.reasons.keys() <= set(lines)


@pytest.mark.root
@pytest.mark.skipif(not ovs.is_installed(), reason="no Open vSwitch to compare with")
@pytest.mark.parametrize("lines", [EVERYDAY, MISTAKES], ids=["everyday", "mistakes"])
def test_nothing_differs_without_a_reason(lines: Lines) -> None:
    rows = measure(lines)

    assert [row for row in rows if row.verdict in ("missing", "differs") and not row.reason] == []
