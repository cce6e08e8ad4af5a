"""Long lines on a narrow terminal: folded, with nothing lost and no word broken."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from inband.cli.asking import folded
from tests.unit.cli.fake_switch import fake_switch

PORT = (
    "  port 1 (north): two-way 000062868f3f992c port 1; 10.0.0.1 fe80::6086:8fff:fe3f:992c; for 7.0 s (each hears the "
    "other); hello each 20 ms, carries control; round trip 1.87 ms; 337 heard, 0 missing, 0 alarms"
)


def test_a_line_is_folded_where_its_parts_end() -> None:
    assert list(folded(PORT, 80)) == [
        "  port 1 (north): two-way 000062868f3f992c port 1;",
        "      10.0.0.1 fe80::6086:8fff:fe3f:992c; for 7.0 s (each hears the other);",
        "      hello each 20 ms, carries control; round trip 1.87 ms;",
        "      337 heard, 0 missing, 0 alarms",
    ]


@given(st.text("ab; ", max_size=120), st.integers(1, 60))
def test_nothing_is_lost_and_only_single_words_are_too_long(line: str, width: int) -> None:
    lines = list(folded(line, width))

    assert " ".join(lines).split() == line.split()
    assert all(len(each) <= width or " " not in each.strip() for each in lines)


def test_neighbours_are_folded_on_a_terminal_and_whole_in_a_pipe() -> None:
    with fake_switch() as switch:
        switch.answers["neighbours"] = f"{PORT}\n"
        words = [sys.executable, "-m", "inband.cli.main", "--run-dir", str(switch.run_dir), "neighbours"]
        piped = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
        near, far = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80"}
        subprocess.run(words, stdout=far, check=True, timeout=30, env=environment)
        on_terminal = os.read(near, 4096).decode().splitlines()
        os.close(near)
        os.close(far)

    assert piped == f"{PORT}\n"
    assert len(on_terminal) == 4
    assert max(map(len, on_terminal)) <= 80
