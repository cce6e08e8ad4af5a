"""What `inband show` says of ``controller = "auto"``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from inband.runtime.auto_notes import auto_notes
from inband.sim.switch import SwitchHost
from inband.switch.core import MAX_FOUND
from tests.unit.sim.test_paths import KEY
from tests.unit.sim.test_switches_behind import Behind, behind, plugged_in


def notes(switch: SwitchHost) -> list[str]:
    return list(auto_notes(switch.only.bridge, switch.only.config))


def up() -> tuple[Behind, SwitchHost]:
    made = behind()
    made.start(KEY)
    fifth = plugged_in(made, "s5", "10.0.0.5/24", made.switches[2])
    made.net.run(1.0)
    return made, fifth


def test_it_is_said_who_told_of_each_controller_and_how_far_away_it_is_used() -> None:
    made, fifth = up()

    near, *_, far = notes(fifth)

    peer = f"{made.switches[2].only.datapath_id:016x}"
    assert near == f"controller auto: tcp:10.3.0.103:6653 is used by switch {peer} on port 1 (s5-1)"
    assert far.endswith(f"10.0.0.101:6653 is used by a switch 3 hops away, behind switch {peer} on port 1 (s5-1)")


def test_a_controller_of_which_no_one_tells_any_more_is_named() -> None:
    made, fifth = up()

    made.net.links[-1].cut()
    made.net.run(1.0)

    assert all(note.endswith(", which tells so no longer") for note in notes(fifth))


def test_that_no_one_tells_of_a_controller_is_said_and_without_auto_nothing() -> None:
    made = behind()
    made.start(KEY)
    fifth = plugged_in(made, "s5", "10.0.0.5/24", made.switches[2], secret=b"o" * 32)
    made.net.run(1.0)

    (note,) = notes(fifth)
    assert note.startswith("controller auto: no neighbour with the network's key tells of a controller: `inband")
    assert notes(made.switches[0]) == []


def test_why_a_controller_is_not_taken_is_said() -> None:
    made, fifth = up()
    made.switches[2].set_controllers(*(f"10.0.0.{number}" for number in range(50, 60)), "tls:10.0.0.49")
    made.net.run(1.0)
    pem = Path("x.pem")

    found = notes(fifth)
    with_files = list(
        auto_notes(fifth.only.bridge, replace(fifth.only.config, private_key=pem, certificate=pem, ca_cert=pem))
    )

    assert sum("not taken" not in note for note in found) == MAX_FOUND
    assert any(": not taken: set private-key" in note.replace("; not", ": not") for note in found)
    assert any(f"not taken: {MAX_FOUND} nearer ones are" in note for note in found)
    assert not any("private-key" in note for note in with_files)
