"""The options before the arguments of a verb that changes something: ``--confirm=SECONDS``, ``--force``, ..."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inband.errors import UsageError
from inband.switch.confirming import LEAST_S, MOST_S
from inband.switch.cutting import Session, parse_session

CONFIRM, FORCE, SESSION = "--confirm", "--force", "--session"
MAX_OPTIONS = 3


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """``confirm_s``: undo it unless confirmed in time. ``session``: what it is made over, if that is known."""

    confirm_s: float | None = None
    is_forced: bool = False
    session: Session | None = None


def split_options(arguments: Sequence[str]) -> tuple[ChangeOptions, list[str]]:
    """The options in front, and the arguments behind them; raises UsageError for a wrong option."""
    options, rest = ChangeOptions(), list(arguments)
    while rest and rest[0].startswith("--"):
        word, _, value = rest.pop(0).partition("=")
        match word:
            case "--confirm":
                options = replace(options, confirm_s=_seconds(value))
            case "--force":
                options = replace(options, is_forced=True)
            case "--session":
                options = replace(options, session=parse_session(value))
            case _:
                raise UsageError(f"unknown option {word}: allowed are {CONFIRM}=SECONDS and {FORCE}")
    return options, rest


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not LEAST_S <= seconds <= MOST_S:
        raise UsageError(f"{CONFIRM}: {text!r} is not allowed: {LEAST_S:.0f} to {MOST_S:.0f} seconds")
    return seconds
