"""Everything that a switch could leave on its machine, as lines of text: two looks that differ show what it left.

Interfaces with their flags, addresses, routes, neighbours' settings and sysctls; queueing disciplines and filters;
listening and abstract sockets; files and mounts of a folder; processes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.net import Namespace

_LOOK = """exec 2>/dev/null
ip -d -o link show | sed 's/ qlen.*promiscuity/ promiscuity/; s/ promiscuity \\([0-9]*\\).*/ promiscuity \\1/
    s/state [A-Z]* //; s/@if[0-9]*//; s/^[0-9]*: //; s/NO-CARRIER,\\|,LOWER_UP//g'
ip -o addr show | sed 's/^[0-9]*: //' | grep -v 'inet6 fe80'
ip route show table all | grep -v 'fe80\\|ff00' | sed 's/^/route /'
tc qdisc show | grep -v noqueue
for interface in $1; do
    for parent in ingress egress; do tc filter show dev $interface $parent | sed "s/^/$interface $parent /"; done
    for family in ipv4 ipv6; do grep -r . /proc/sys/net/$family/conf/$interface; done
done
ss -lntuH
cut -d' ' -f8 /proc/net/unix | grep -a '^@'
true
"""


def remains(machine: Namespace, interfaces: Iterable[str], folder: Path) -> frozenset[str]:
    """Look now. ``interfaces`` are those whose settings and filters count; of ``folder`` what is in it, and mounted."""
    lines = machine.run("sh", "-c", _LOOK, "look", " ".join(interfaces), check=False).splitlines()
    files = [f"file {path.relative_to(folder)}" for path in sorted(folder.rglob("*"))] if folder.exists() else []
    return frozenset((*lines, *files, *mounts(folder), *processes(machine)))


def mounts(folder: Path) -> list[str]:
    """What is mounted in a folder, in this mount namespace."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [f"mount {point}" for point in points if Path(point).is_relative_to(folder)]


def processes(machine: Namespace) -> list[str]:
    """The command lines of processes in a network namespace."""
    found = []
    for pid in machine.pids():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        found.append(f"process {b' '.join(words).decode(errors='replace').strip()}")
    return found
