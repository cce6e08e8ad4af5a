"""How many files the process may have open: as many as the system lets it, and refused in words where those are few."""

from __future__ import annotations

import resource

from inband.errors import UsageError

# What one bridge with two ports, a controller and all clients that may call takes, with room for names' questions.
LEAST_DESCRIPTORS = 256


def take_descriptors() -> None:
    """Raise the limit to what is allowed. Raises UsageError when that is too few to run.

    Comes before anything else is opened, the switch's modules and the program's maps among it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_DESCRIPTORS:
        raise UsageError(
            f"this process may have {hard} open files (RLIMIT_NOFILE), and a switch needs {LEAST_DESCRIPTORS}: "
            "raise the limit (ulimit -n, LimitNOFILE= of a systemd unit)"
        )
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
