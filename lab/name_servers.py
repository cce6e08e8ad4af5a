"""DNS servers of the laboratory, and switches whose controller has a name.

dnsmasq and unbound are other people's servers; the liar is ours. All answer on one address that the namespace has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process
from lab.topology import Site, Topology

NAME = "controller.example.net"
OTHER = "www.example.net"
START_S = 10.0


@dataclass(slots=True)
class Asking:
    """Makes our switch with these DNS servers configured; none: those of the system."""

    servers: tuple[str, ...]
    name: str = "inband"
    offloads: bool = True
    datapath: str = "userspace"

    def __call__(self, lab: Lab, site: Site) -> InbandSwitch:
        """Make one; it is not started yet."""
        switch = InbandSwitch(lab, site)
        switch.dns_servers = self.servers
        switch.datapath = self.datapath
        return switch


def by_name(topology: Topology, name: str = NAME) -> Topology:
    """The same network, whose switches know their controller by name."""
    sites = tuple(
        Site(site.namespace, tuple(replace(plan, controller=name) for plan in site.bridges)) for site in topology.sites
    )
    return replace(topology, sites=sites)


def named(lay: Callable[[Lab], Topology], server: Callable[[Topology], object]) -> Callable[[Lab], Topology]:
    """A way to lay a network with a DNS server in it, and the controller known by name."""

    def lay_named(lab: Lab) -> Topology:
        made = lay(lab)
        server(made)
        return by_name(made)

    return lay_named


def serve_here(made: Topology) -> None:
    """Run a DNS server on the controller's own address, which the systems of all switches are told to ask."""
    for site in made.sites:
        site.namespace.resolv_conf(made.remote)
    dnsmasq(made.controller, made.remote, record(made.remote))


def dnsmasq(namespace: Namespace, address: str, *options: str) -> Process:
    """Serve what the options say (``--host-record=...``); everything else does not exist."""
    process = namespace.start(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
        "--pid-file=", "--bind-interfaces", f"--listen-address={address}", "--local=/example.net/", "--no-daemon",
        "--log-queries", "--log-facility=-", *options, label="dnsmasq",
    )  # fmt: skip
    return _started(process, lambda: "started" in process.tail())


def unbound(namespace: Namespace, address: str, *records: str, options: str = "") -> Process:
    """Serve these records (``name. 300 IN A 10.0.0.1``) of example.net."""
    config = namespace.lab.folder / f"unbound-{address}.conf"
    rows = "\n".join(f"  local-data: '{record}'" for record in records)
    config.write_text(
        f"server:\n  interface: {address}\n  access-control: 0.0.0.0/0 allow\n  access-control: ::0/0 allow\n"
        "  use-syslog: no\n  logfile: ''\n  verbosity: 2\n  do-daemonize: no\n  chroot: ''\n  username: ''\n"
        "  pidfile: ''\n  module-config: iterator\n  log-queries: yes\n  do-not-query-localhost: no\n"
        f"  local-zone: 'example.net.' static\n{rows}\n{options}\nremote-control:\n  control-enable: no\n"
    )
    process = namespace.start("unbound", "-d", "-p", "-c", str(config), label="unbound")
    return _started(process, lambda: "start of service" in process.tail())


def liar(namespace: Namespace, address: str, how: str) -> Process:
    """Serve lies: see ``lab.liar``."""
    process = namespace.start(sys.executable, "-m", "lab.liar", address, how, label="liar")
    return _started(process, lambda: "ready" in process.tail())


def record(address: str, ttl: int = 300, name: str = NAME) -> str:
    """A host for dnsmasq."""
    return f"--host-record={name},{address},{ttl}"


def asks(namespace: Namespace, server: str, name: str, *, tcp: bool = False, timeout_s: float = 1.0) -> bool:
    """Whether a host gets an answer to its question, of whatever kind."""
    code = (
        "import dns.message, dns.query, dns.exception, sys\n"
        f"query = dns.message.make_query({name!r}, 'A')\n"
        f"ask = dns.query.{'tcp' if tcp else 'udp'}\n"
        "try:\n"
        f"    print('answer', ask(query, {server!r}, timeout={timeout_s}).rcode())\n"
        "except (dns.exception.Timeout, OSError) as error:\n"
        "    print('nothing', error)\n"
    )
    return namespace.run(sys.executable, "-c", code).startswith("answer")


def _started(process: Process, is_ready: Callable[[], bool]) -> Process:
    if not until(is_ready, START_S):
        raise AssertionError(f"{process.argv[4]} did not start:\n{process.tail()}")
    return process
