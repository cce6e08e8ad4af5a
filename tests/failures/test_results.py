"""A run of failures that was ended goes on where it was."""

from __future__ import annotations

from pathlib import Path

from tests.failures.play import Outcome
from tests.failures.results import Results

FOUND = Outcome(["round"], ["again"], ["s1"])


def test_what_was_played_is_known_to_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "results"
    first = Results(20, 10, file)
    first.add(3, FOUND)
    first.add(4, Outcome())

    second = Results(20, 10, file)

    assert second.played(3) == FOUND
    assert second.played(4) == Outcome()
    assert second.played(5) is None


def test_a_play_of_another_size_is_another_play(tmp_path: Path) -> None:
    file = tmp_path / "results"
    Results(20, 10, file).add(3, FOUND)

    assert Results(21, 10, file).played(3) is None
    assert Results(20, 11, file).played(3) is None


def test_a_run_that_was_ended_while_it_wrote_plays_that_seed_again(tmp_path: Path) -> None:
    file = tmp_path / "results"
    Results(20, 10, file).add(3, FOUND)
    whole = file.read_text()
    file.write_text(whole + whole[:-5])

    again = Results(20, 10, file)
    again.add(4, Outcome())

    assert again.played(3) == FOUND
    assert Results(20, 10, file).played(4) == Outcome()
    assert len(file.read_text().splitlines()) == 2


def test_without_a_file_only_this_run_knows() -> None:
    results = Results(20, 10)
    results.add(3, FOUND)

    assert results.played(3) == FOUND
    assert Results(20, 10).played(3) is None
