"""One line of a table of figures, one cell of it, and how cells are written.

A row measures one switch and returns a :class:`Figure`: the text for the table, the numbers for the JSON file, and
whether what is to be reached was reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab import measure
from lab.ovs import OvsSwitch
from lab.switch import SwitchMaker

ECHO_SILENCE_S = 0.4
"""What no session's silence may exceed; the controller echoes each 0.1 s."""
NEVER_S = 10.0
"""After this long "never" is said; the peer was watched for 60 s once."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell: its text, its numbers, and whether it reaches the goal."""

    text: str
    reached: bool
    numbers: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what, how much is to be reached, and how it is measured for a switch."""

    what: str
    goal: str
    measure: Callable[[SwitchMaker], Figure]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often: the whole, or a tenth of it to see that everything runs.

    ``attack_s`` and ``attack_rounds`` are for each row about fairness, ``everything_s`` for its last.
    """

    rounds: int = 10
    peer_rounds: int = 3
    hostile_s: float = 30.0
    short_s: float = 5.0
    attack_s: float = 10.0
    attack_rounds: int = 1
    everything_s: float = 600.0


def rounds_of(make: SwitchMaker, effort: Effort) -> int:
    """Return how often a switch is measured: the peer less often, as it takes longer."""
    return effort.peer_rounds if make is OvsSwitch else effort.rounds


def silence_figure(silence: float | None) -> Figure:
    """Return the cell for the longest silence of a session (None: it never came up)."""
    if silence is None:
        return Figure("never up", False)
    return Figure(shown(silence), silence <= ECHO_SILENCE_S, {"silence_s": silence})


def change_figure(change: measure.Change | None, rules_s: float, silence_s: float) -> Figure:
    """Return the cell for a change of the network and what of it is to be reached."""
    if change is None:
        return Figure("never up", False)
    reached = change.rules_s is not None and change.rules_s <= rules_s and change.silence_s <= silence_s
    return Figure(f"rules {shown(change.rules_s)}, silence {shown(change.silence_s)}", reached, numbers_of(change))


def numbers_of(change: measure.Change) -> dict[str, object]:
    """Return a change's numbers for the JSON file."""
    return {"rules_s": change.rules_s, "silence_s": change.silence_s, "absent_s": change.absent_s}


def shown(seconds: float | None) -> str:
    """Return seconds as people read them."""
    if seconds is None:
        return "never"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
