"""The ways to get namespaces for the demo: as root, or without root in those of an unprivileged user namespace.

A way is tried with what the demo will do in it (``probe``), so that what fails there fails before the story begins,
and the simulator can take its place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

INSIDE = "INBAND_DEMO_INSIDE"
"""Set in the process that runs in its own namespaces: the name of the way that made them."""


@dataclass(frozen=True, slots=True)
class Way:
    """``command`` runs what follows it in new namespaces."""

    name: str
    command: tuple[str, ...]


ROOT = Way("root", ("unshare", "--net", "--mount", "--propagation", "slave"))
USER = Way("user", ("unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "slave"))


def ways_of(user_id: int) -> tuple[Way, ...]:
    """The ways that a user has, the best first: all datapaths work in namespaces of root's."""
    return (ROOT, USER) if user_id == 0 else (USER,)


def choose(ways: Sequence[Way], probe: Callable[[Way], str]) -> Way | str:
    """The first way that works; where none does, what was wrong with the first. ``probe`` as below.

    The others are worse to begin with, and may fail for reasons of their own: in a chroot the kernel refuses every user
    namespace, whatever it is that root lacks there.
    """
    reasons = []
    for way in ways:
        reason = probe(way)
        if not reason:
            return way
        reasons.append(reason)
    return reasons[0]


def probe(way: Way) -> str:
    """Try what the demo will need (the program ``probe``); returns what the system says against it, or nothing."""
    command = [*way.command, sys.executable, "-m", "inband.demo.probe"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return f"{error.filename} is missing: install util-linux"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["refused"])[-1]


def enter(way: Way, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Become the demo in new namespaces."""
    command = [*way.command, sys.executable, "-m", "inband.demo", *arguments]
    os.execvpe(command[0], command, {**environment, INSIDE: way.name})
