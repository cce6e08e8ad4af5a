"""A test that flakes is written down, and fails the run when it did so twice in ten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.flaky import WINDOW, Run, counting, main, parse, repeated, written

ROOT = Path(__file__).resolve().parents[3]
HEADER = "# When, commit, test.\n"
SLOW, OTHER = "tests/system/test_a.py::test_slow[Open vSwitch]", "tests/system/test_b.py::test_other"


def run(day: int, *flaked: str) -> Run:
    return Run(f"2026-11-{day:02}T12:00:00Z", f"c{day:06}", frozenset(flaked))


class Ci:
    """A clone in which tests run, and run again."""

    def __init__(self, folder: Path, history: str = HEADER) -> None:
        self.history = folder / "flaky.txt"
        self.history.write_text(history)
        self.first, self.again = folder / "first", folder / "again"

    def judge(self, first: list[str], again: list[str], commit: str = "abc1234") -> int:
        for path, failed in ((self.first, first), (self.again, again)):
            path.write_text(json.dumps(dict.fromkeys(failed, True)))
        return main(self.history, commit, [(self.first, self.again)])


@pytest.fixture
def ci(tmp_path: Path) -> Ci:
    return Ci(tmp_path)


def test_a_history_reads_back_as_it_was_written() -> None:
    runs = [run(1, SLOW, OTHER), run(2), run(3, SLOW)]

    assert parse(written(HEADER, runs)) == runs
    assert written(HEADER, runs).startswith(HEADER)


def test_lines_that_a_merge_has_mixed_are_the_same_runs() -> None:
    runs = [run(1, SLOW, OTHER), run(2), run(3, SLOW)]
    lines = written("", runs).splitlines()

    assert parse("\n".join(reversed(lines))) == runs


def test_a_test_that_fails_and_then_passes_is_written_down_and_fails_nothing(
    ci: Ci, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ci.judge([SLOW, OTHER], [OTHER])

    (noted,) = parse(ci.history.read_text())
    assert code == 0
    assert (noted.commit, noted.flaked) == ("abc1234", frozenset({SLOW}))
    assert f"{noted.when} abc1234 {SLOW}" in capsys.readouterr().out


def test_what_fails_twice_is_no_flake(ci: Ci) -> None:
    assert ci.judge([SLOW], [SLOW]) == 0
    assert parse(ci.history.read_text())[0].flaked == frozenset()


def test_a_run_in_which_nothing_failed_is_written_down_too_and_nothing_is_said(
    ci: Ci, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(ci.history, "abc1234", [(ci.first, ci.again)]) == 0  # pytest has left no file

    assert [each.flaked for each in parse(ci.history.read_text())] == [frozenset()]
    assert capsys.readouterr().out == ""


def test_the_second_flake_in_ten_runs_fails_the_run_and_is_named(tmp_path: Path) -> None:
    ci = Ci(tmp_path, written(HEADER, [run(1, SLOW), *(run(day) for day in range(2, WINDOW))]))

    done = subprocess.run(
        [
            sys.executable,
            ROOT / "tools" / "flaky.py",
            ci.history,
            "abc1234",
            _failed(ci, SLOW, OTHER),
            tmp_path / "nothing",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert done.returncode == 1
    assert len(failed) == 1
    assert SLOW in failed[0]
    assert run(1).commit in failed[0]


def _failed(ci: Ci, *tests: str) -> Path:
    ci.first.write_text(json.dumps(dict.fromkeys(tests, True)))
    return ci.first


def test_a_flake_that_is_ten_runs_old_does_not_count() -> None:
    before = [run(1, SLOW), *(run(day) for day in range(2, WINDOW + 1))]

    assert len(before) == WINDOW
    assert repeated(counting(before), run(30, SLOW)) == {}
    assert repeated(counting(before[:-1]), run(30, SLOW)) == {SLOW: [run(1, SLOW)]}


def test_the_flakes_of_different_tests_do_not_add_up(ci: Ci) -> None:
    assert ci.judge([SLOW], []) == 0
    assert ci.judge([OTHER], []) == 0


def test_a_test_that_flaked_twice_before_fails_no_run_in_which_it_passes(tmp_path: Path) -> None:
    ci = Ci(tmp_path, written(HEADER, [run(1, SLOW), run(2, SLOW)]))

    assert ci.judge([], []) == 0


def test_the_file_keeps_the_runs_that_can_still_count(ci: Ci) -> None:
    for _ in range(3 * WINDOW):
        ci.judge([SLOW], [SLOW])

    assert len(ci.history.read_text().splitlines()) <= 1 + WINDOW


def test_the_history_in_the_repository_can_be_read() -> None:
    assert len(parse((ROOT / ".ci" / "flaky.txt").read_text())) <= WINDOW


def test_parts_of_the_tests_are_judged_together(ci: Ci) -> None:
    for path, failed in ((ci.first, [SLOW]), (ci.again, []), (ci.history.with_name("other"), [OTHER])):
        path.write_text(json.dumps(dict.fromkeys(failed, True)))

    code = main(ci.history, "abc1234", [(ci.first, ci.again), (ci.history.with_name("other"), ci.again)])

    assert code == 0
    assert parse(ci.history.read_text())[0].flaked == frozenset({SLOW, OTHER})
