"""Why a remote cannot be reached: the first cause on the way, and what to do about it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from inband.control.destinations import RemoteStatus
from inband.control.endpoints import Endpoint
from inband.control.name_events import KnownAddress
from inband.control.names import NameStatus
from inband.packet.dns import Outcome
from inband.runtime.advice import controller_advice, way_advice
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import IpAddress, Mac

HERE, GATEWAY, SERVER = ip_address("10.0.0.100"), ip_address("10.0.0.254"), ip_address("10.0.0.53")
NAMED = parse_target("tcp:ctl.example.net:6653")
Hops = dict[IpAddress, RemoteStatus]


def status(address: IpAddress, hop: IpAddress | None, mac: int | None) -> RemoteStatus:
    endpoint = Endpoint(address, 6653)
    return RemoteStatus(endpoint, ("controller",), hop, Mac(mac) if mac else None, "br0" if hop else None, None)


GOOD: Hops = {HERE: status(HERE, HERE, 1), SERVER: status(SERVER, SERVER, 2)}
NO_ROUTE: Hops = {HERE: status(HERE, None, None), SERVER: status(SERVER, None, None)}
MUTE: Hops = {HERE: status(HERE, HERE, None), SERVER: status(SERVER, GATEWAY, None)}


def name(*outcomes: Outcome | None, problem: str = "", known: bool = False) -> NameStatus:
    addresses = (KnownAddress(HERE, 10.0, SERVER),) if known else ()
    return NameStatus("ctl.example.net", addresses, problem, outcomes or (None, None), 1.0)


def advice(
    *,
    target: str = "tcp:10.0.0.100:6653",
    error: str | None = "Connection refused",
    of: NameStatus | None = None,
    servers: tuple[IpAddress, ...] = (SERVER,),
    hops: Hops = GOOD,
) -> str:
    addresses = (HERE,) if of is None or of.addresses else ()
    return str(controller_advice(parse_target(target), addresses, {}, error, of, servers, hops))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (advice(), "no process listens on TCP port 6653 of 10.0.0.100: start the controller"),
        (advice(error="no answer in 0.5 s"), "stays silent: check firewalls"),
        (advice(error="No route to host"), "ends on a router: check its routes"),
        (advice(error="TLS: alert unknown ca", target="tls:10.0.0.100"), "check the certificates"),
        (advice(error="No such file", target="unix:/run/x"), "check that a controller listens at /run/x"),
        (advice(hops=NO_ROUTE), "no route to 10.0.0.100: give the bridge an address in its network, or a gateway"),
        (advice(hops=MUTE), "10.0.0.100 does not answer ARP on br0: check that it is up"),
        (advice(of=name(), servers=()), "no DNS server is known to ask for ctl.example.net: set dns-server"),
        (advice(of=name(Outcome.NO_NAME, problem="10.0.0.53: there is no such name")), "check how ctl.example.net"),
        (advice(of=name(Outcome.NO_DATA, Outcome.NO_DATA)), "add an A or AAAA record"),
        (advice(of=name(), hops=NO_ROUTE), "no DNS server can be reached: there is no route to 10.0.0.53"),
        (advice(of=name(), hops=MUTE), "10.0.0.254 (the next hop to 10.0.0.53) does not answer ARP"),
        (advice(of=name(problem="no answer from 10.0.0.53")), "no answer from 10.0.0.53: check that the DNS server"),
        (advice(of=name(known=True)), "no process listens on TCP port 6653"),
        (advice(error="the peer closed the connection"), "see the controller's log"),
    ],
)
def test_the_first_cause_is_named_with_a_next_step(found: str, words: str) -> None:
    assert words in found


def test_a_way_that_works_needs_no_advice() -> None:
    assert way_advice(HERE, GOOD) is None
    assert way_advice(GATEWAY, GOOD) is None
    assert controller_advice(NAMED, (HERE,), {}, None, name(known=True), (SERVER,), GOOD) is None
