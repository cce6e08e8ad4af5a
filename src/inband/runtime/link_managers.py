"""Programs on this machine that change interfaces unless they are told to leave them alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# As /proc/PID/comm has them, which is cut after 15 characters.
MANAGERS = {"systemd-network", "NetworkManager", "dhcpcd", "connmand", "netifd", "wickedd", "ifplugd", "dhclient"}
GUIDE = "docs/guide.md, 'Programs that manage links'"


def running_managers() -> list[str]:
    """Those that run."""
    return sorted({name for name in _running() if name in MANAGERS})


def culprits() -> str:
    """Who may have changed an interface, in words."""
    found = running_managers()
    who = f"{', '.join(found)} runs here, and may have done it" if found else "no program that manages links runs here"
    return f"{who} ({GUIDE})"


def _running() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            yield path.read_text(errors="replace").strip()
        except OSError:
            continue  # it has ended
