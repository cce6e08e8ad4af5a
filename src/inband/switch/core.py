"""All bridges of one switch, without I/O: whom they protect, the names of those, and the order of a change.

Each bridge protects the remotes of all: one bridge's channel may cross another one (docs/decisions/2).

Invariants: rules for a remote are in every bridge before any bridge dials it, and go after the last dial. Rules for a
DNS server are in every bridge before it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from inband.control.events import Remote, RemoteKind
from inband.fabric.need import Need, NeedKind
from inband.host.events import HostEvent, NextHopFound
from inband.switch.config import BridgeConfig, SwitchConfig
from inband.switch.managed_bridge import ManagedBridge
from inband.switch.manager_targets import ManagerTarget
from inband.switch.names import MAX_SERVERS, DnsClient, Known, NameOwner, NameService, ServerList
from inband.switch.outgoing import OutgoingConnection
from inband.switch.reports import Reporter
from inband.switch.targets import Scheme, Target
from inband.vocabulary.addresses import IpAddress, address_key
from inband.vocabulary.instant import Instant

Names = Mapping[str, tuple[IpAddress, ...]]
"""The addresses of targets that have names."""

# Targets that are looked through in one step: a millisecond.
TARGETS_AT_ONCE = 250
# Controllers of neighbours that a bridge dials: a switch has a few, and each is a connection.
MAX_FOUND = 8


class SwitchCore:
    """The bridges that run, and what they have in common. The owner adds bridges, drives them, and takes them out.

    ``find_servers`` says which DNS servers to ask when none are configured. ``addresses_changed`` asks the owner to go
    through ``follow_names`` soon; ``wake`` asks for a look at the deadline of ``names``; ``remember`` keeps what is
    known of names.
    """

    def __init__(
        self,
        clock: Callable[[], Instant],
        random_bits: Callable[[int], int],
        dns: DnsClient,
        *,
        find_servers: Callable[[], ServerList],
        addresses_changed: Callable[[], None],
        remember: Callable[[Known], None],
        report: Reporter,
        wake: Callable[[], None],
    ) -> None:
        self.config = SwitchConfig()
        self.bridges: dict[str, ManagedBridge] = {}
        self._in_band_names: frozenset[str] = frozenset()
        self._wanted: frozenset[Remote] = frozenset()
        self._needs: tuple[Need, ...] = ()
        self._found: dict[str, tuple[Target, ...]] = {}  # by bridge
        self._addresses: Mapping[str, tuple[IpAddress, ...]] = {}  # of names, those that are among _wanted
        self._wake = wake
        self._addresses_changed = addresses_changed
        self._has_channel_news = False
        owner = NameOwner(
            find_servers=lambda: configured_servers(self.config) or find_servers(),
            servers_changed=self._set_up_dns,
            addresses_changed=addresses_changed,
            remember=remember,
            report=report,
            wake=wake,
        )
        self.names = NameService(clock, random_bits, dns, owner)

    # --- bridges ----------------------------------------------------------------------------------------------------

    def add(self, managed: ManagedBridge) -> Iterator[None]:
        """A bridge that is open: from here on it protects what all do, and knows the names' addresses.

        ``begin`` of the configuration that has it comes before, ``ManagedBridge.configure`` after the last step, and
        ``protect`` after that.
        """
        self.bridges[managed.config.name] = managed
        managed.bridge.neighbours.needs_changed = self._needs_changed
        managed.bridge.neighbours.set_controllers(self._needs, managed.bridge.now)
        self._set_up(managed)
        managed.connections.set_names(self._addresses)
        yield from managed.want(self._wanted)
        self._follow_networks()

    def remove(self, name: str) -> ManagedBridge | None:
        """A bridge that is about to end."""
        gone = self.bridges.pop(name, None)
        if gone is not None:
            gone.leave()
        self._follow_networks()
        return gone

    def _follow_networks(self) -> None:
        for bridge in self.bridges.values():
            bridge.bridge.follow_networks()

    def is_own_interface(self, name: str) -> bool:
        """Whether an interface is a port of a bridge, or a bridge's own."""
        return any(port.name == name for managed in self.bridges.values() for port in managed.bridge.ports)

    # --- changes ----------------------------------------------------------------------------------------------------

    def begin(self, config: SwitchConfig, memory: Known) -> Iterator[None]:
        """Before bridges are configured: have rules for controllers that come, and keep those of remotes that go.

        ``memory`` is what an earlier run knew of names.
        """
        self.names.recall(names_of(config), memory)
        yield from self._want_remotes_of(config)
        for bridge in self.bridges.values():
            yield from bridge.want(self._wanted | bridge.remotes)
            self._tell_addresses(bridge)

    def finish(self, config: SwitchConfig) -> Iterator[None]:
        """After all bridges are configured: ask for the names there are. ``protect`` comes next."""
        for bridge in list(self.bridges.values()):
            yield from bridge.want(self._wanted)
        self.config = replace(config)
        self._in_band_names = frozenset(target.name for target in _targets(config) if target.name and target.in_band)
        self._set_up_dns()
        self.names.want(names_of(config))

    def follow_names(self) -> Iterator[None]:
        """Names have other addresses: protect controllers that they lead to now, and dial. ``protect`` comes next."""
        yield from self._want_remotes_of(self.config)
        for bridge in list(self.bridges.values()):
            yield from bridge.want(self._wanted)
            self._tell_addresses(bridge)

    def _tell_addresses(self, bridge: ManagedBridge) -> None:
        bridge.connections.set_names(self._addresses, self._found.get(bridge.config.name, ()))

    def _found_by(self, config: BridgeConfig) -> tuple[Target, ...]:
        """The controllers that neighbours of a bridge use, if it is to take them: the nearest, MAX_FOUND of them."""
        managed = self.bridges.get(config.name)
        if managed is None or not any(target.is_auto for target in config.controllers):
            return ()
        has_tls = None not in (config.private_key, config.certificate, config.ca_cert)
        found = [need for need in managed.bridge.neighbours.found_controllers() if has_tls or not need.uses_tls]
        return tuple(map(target_of, found[:MAX_FOUND]))

    def _needs_changed(self) -> None:
        """Have ``follow_names`` look what neighbours use, if that is to be dialled."""
        if any(self._found_by(each.config) != self._found.get(name, ()) for name, each in self.bridges.items()):
            self._addresses_changed()

    def protect(self) -> Iterator[None]:
        """Have rules for all remotes that are wanted, and give up those of others; there may be thousands.

        What is wanted may change between two steps: another change need not wait for the end of this.
        """
        while (bridge := next((each for each in self.bridges.values() if each.is_behind), None)) is not None:
            bridge.protect_more()
            yield

    def _want_remotes_of(self, config: SwitchConfig) -> Iterator[None]:
        # What names come to have from here on needs rules first: the next call's of ``follow_names``.
        self._addresses = dict(self.names.addresses)
        self._found = {bridge.name: self._found_by(bridge) for bridge in config.bridges}
        found = (target for targets in self._found.values() for target in targets)
        self._wanted = (yield from remotes_in_steps(config, self._addresses)).union(found_remotes(found))
        self._needs = tuple(controllers_needed(config, self._addresses))
        for bridge in self.bridges.values():
            bridge.bridge.neighbours.set_controllers(self._needs, bridge.bridge.now)

    # --- the kernel's events ----------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Pass on what the kernel said, to bridges first: a question for a name needs the rules that follow from it."""
        for bridge in self.bridges.values():
            bridge.host_event(event)
        self.names.host_event(event)

    # --- channels ---------------------------------------------------------------------------------------------------

    def channels_changed(self) -> None:
        """Some controller that has a name may be connected now, or not any more: ``send`` tells the resolver, once."""
        if not self._has_channel_news:
            self._has_channel_news = True
            self._wake()

    def _look_at_channels(self) -> None:
        failing = frozenset(each.target.name for each in self._named() if each.is_failing and each.target.name)
        self.names.channels_changed(self.connected(), failing)

    def connected(self) -> frozenset[IpAddress]:
        """The addresses that channels to controllers with names are up to."""
        return frozenset(each.address for each in self._named() if each.is_connected and each.address)

    def _named(self) -> Iterator[OutgoingConnection]:
        for bridge in self.bridges.values():
            yield from (each for each in bridge.connections.outgoing if each.target.name)

    # --- time (switch.driver.Driven): that of names; bridges have drivers of their own ------------------------------

    def send(self) -> None:
        """Tell the resolver what became of channels."""
        if self._has_channel_news:
            self._has_channel_news = False
            self._look_at_channels()

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return self.names.next_deadline()

    def run(self) -> None:
        """Ask for names."""
        self.names.run()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _set_up_dns(self) -> None:
        for bridge in self.bridges.values():
            self._set_up(bridge)

    def _set_up(self, managed: ManagedBridge) -> None:
        """Let DNS for the names pass a bridge."""
        servers = self.names.server_list.servers if self._in_band_names else ()
        bridge, asked = managed.bridge, (frozenset(servers), self._in_band_names)
        bridge.set_dns(*asked)
        bridge.neighbours.set_dns(*asked, bridge.now)


def names_of(config: SwitchConfig) -> frozenset[str]:
    """The names of all controllers that are dialled, and of all managers."""
    return frozenset(target.name for target in _targets(config) if target.name is not None)


def configured_servers(config: SwitchConfig) -> ServerList | None:
    """The DNS servers that are configured, if any are."""
    servers = config.dns_servers[:MAX_SERVERS]
    return ServerList(servers, "the configuration") if servers else None


def remotes_in_steps(config: SwitchConfig, names: Names) -> Generator[None, None, frozenset[Remote]]:
    """Every remote of a switch; ``names`` has the addresses of those that have names. There may be thousands."""
    remotes: set[Remote] = set()
    for start in range(0, len(config.managers), TARGETS_AT_ONCE):
        remotes.update(manager_remotes(config.managers[start : start + TARGETS_AT_ONCE], names))
        yield
    for bridge in config.bridges:
        for start in range(0, len(bridge.controllers), TARGETS_AT_ONCE):
            remotes.update(controller_remotes(bridge.controllers[start : start + TARGETS_AT_ONCE], names))
            yield
    return frozenset(remotes)


def controller_remotes(targets: Iterable[Target], names: Names) -> Iterator[Remote]:
    """The remotes that the controllers of a bridge are."""
    for target in targets:
        for address in _addresses(target, names):
            yield Remote(address, target.port, RemoteKind.CONTROLLER)


def controllers_needed(config: SwitchConfig, names: Names) -> Iterator[Need]:
    """What neighbours are told of the controllers that a switch is configured with."""
    for bridge in config.bridges:
        for target in bridge.controllers:
            for address in _addresses(target, names):
                yield Need(NeedKind.CONTROLLER, address_key(address), target.port, target.uses_tls)


def target_of(need: Need) -> Target:
    """A controller that neighbours use, as a place to dial."""
    version, number = need.subject
    host = IPv4Address(number) if version == 4 else IPv6Address(number)
    return Target(Scheme.TLS if need.uses_tls else Scheme.TCP, host, need.port)


def found_remotes(targets: Iterable[Target]) -> Iterator[Remote]:
    """The remotes that the controllers of neighbours are for a switch that takes them."""
    for target in targets:
        if target.address is not None:
            yield Remote(target.address, target.port, RemoteKind.FOUND)


def manager_remotes(targets: Iterable[ManagerTarget], names: Names) -> Iterator[Remote]:
    """The remotes that the managers of a switch are."""
    for target in targets:
        for address in _addresses(target, names):
            yield Remote(
                address, target.port, RemoteKind.MANAGER, target.protocol, calls=target.calls, length=target.length
            )


def _addresses(target: Target | ManagerTarget, names: Names) -> Iterator[IpAddress]:
    if target.in_band and target.address is not None:
        yield target.address
    elif target.in_band and target.name is not None:
        yield from names.get(target.name, ())


def _targets(config: SwitchConfig) -> Iterator[Target | ManagerTarget]:
    yield from config.managers
    for bridge in config.bridges:
        yield from (target for target in bridge.controllers if not target.listens)
