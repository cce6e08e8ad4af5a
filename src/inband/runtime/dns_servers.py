"""Which DNS servers to ask when none are configured: those that came with a DHCP lease, and then the system's.

A lease that the switch itself got says who serves this network; the system's servers may be on another one. They are
those of /etc/resolv.conf. Where they are stubs on this host (systemd-resolved), the servers behind the stub are taken:
the stub's own questions are not ours, so no hidden rule would let them through.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from inband.errors import UsageError
from inband.switch.names import MAX_SERVERS, ServerList
from inband.vocabulary.addresses import IpAddress, parse_ip

RESOLV_CONF = Path("/etc/resolv.conf")
BEHIND_THE_STUB = Path("/run/systemd/resolve/resolv.conf")

# What DHCP clients leave in the run directory as BRIDGE.VERSION.dns, one address a line: see host/dhcp_script.sh.
LEASE_SUFFIX = ".dns"


def parse_dns_server(text: str) -> IpAddress:
    """Read the address of a DNS server; raises UsageError for what cannot be one."""
    address = parse_ip(text)
    if address.is_multicast or address.is_unspecified:
        raise UsageError(f"dns-server: {text} is not the address of one host")
    if isinstance(address, IPv6Address) and address.is_link_local and address.scope_id is None:
        raise UsageError(f"dns-server: a link-local address needs its interface: write {text}%br0")
    return address


def find_servers(
    run_dir: Path,
    resolv_conf: Path = RESOLV_CONF,
    behind_the_stub: Path = BEHIND_THE_STUB,
) -> ServerList:
    """The servers to ask now. Reads a few small files; what cannot be read has none."""
    leased = _addresses(line for path in sorted(run_dir.glob(f"*{LEASE_SUFFIX}")) for line in _lines(path))
    systems, source = _read(resolv_conf), str(resolv_conf)
    if systems and all(server.is_loopback for server in systems):
        behind = _read(behind_the_stub)
        systems, source = (behind, str(behind_the_stub)) if behind else (systems, source)
    sources = [*(["DHCP"] if leased else []), *([source] if systems else [])]
    return ServerList(tuple(dict.fromkeys((*leased, *systems)))[:MAX_SERVERS], " and ".join(sources) or "nowhere")


def remove_stale_leases(run_dir: Path, bridges: Iterable[str]) -> None:
    """Forget the servers that a process that died was told of for bridges that are none of these."""
    for path in run_dir.glob(f"*{LEASE_SUFFIX}"):
        if path.name.rsplit(".", 2)[0] not in bridges:
            path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[IpAddress, ...]:
    """The nameserver lines of a file (resolv.conf(5))."""
    words = (line.split() for line in _lines(path))
    return _addresses(line[1] for line in words if len(line) > 1 and line[0] == "nameserver")


def _addresses(texts: Iterable[str]) -> tuple[IpAddress, ...]:
    found: dict[IpAddress, None] = {}
    for text in texts:
        try:
            found[ip_address(text.strip())] = None
        except ValueError:
            continue
    return tuple(found)[:MAX_SERVERS]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
