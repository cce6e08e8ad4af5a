"""The ssh session that a command is given over, if there is one."""

from __future__ import annotations

import os
from pathlib import Path

_VARIABLE = "SSH_CONNECTION"
# A shell in a terminal multiplexer below sudo below a login shell is ten processes deep at most.
_MOST_PARENTS = 30


def ssh_session() -> str | None:
    """``FAR FARPORT NEAR NEARPORT`` as sshd(8) says it, None where it does not.

    sudo takes the variable out of the environment, so the processes that this one comes from are asked as well.
    """
    said = os.environ.get(_VARIABLE)
    pid = os.getppid()
    for _ in range(_MOST_PARENTS):
        if said or pid <= 1:
            break
        said, pid = _look_at(Path("/proc", str(pid)))
    return said or None


def _look_at(process: Path) -> tuple[str | None, int]:
    """What a process has in its environment, and its parent; (None, 0) for one that may not be looked at."""
    try:
        variables = (process / "environ").read_bytes().split(b"\0")
        parent = int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None, 0
    prefix = f"{_VARIABLE}=".encode()
    found = next((each for each in variables if each.startswith(prefix)), None)
    return None if found is None else found[len(prefix) :].decode(errors="replace"), parent
