"""VLAN switching against a model that knows nothing of actions, masks or caches: only who gets what, with which tag."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import ApplyActions, Output
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import NORMAL, PortNo
from inband.openflow.messages import Envelope, FlowMod
from inband.packet.frame import Frame
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13, FlowModCommand
from lab.silent_host import SilentHost

PORTS = tuple(PortNo(number) for number in range(1, 5))
VLANS = (0, 1, 2, 3)
Tag = tuple[int, int] | None
"""VLAN id and priority; None: no tag."""

some_vlans = st.sets(st.sampled_from(VLANS)).map(frozenset)
memberships = st.one_of(
    st.none(),
    st.builds(VlanMembership, st.just(VlanMode.ACCESS), st.sampled_from(VLANS)),
    st.builds(VlanMembership, st.just(VlanMode.TRUNK), st.none(), some_vlans),
    st.builds(
        VlanMembership,
        st.sampled_from((VlanMode.NATIVE_TAGGED, VlanMode.NATIVE_UNTAGGED)),
        st.sampled_from(VLANS[1:]),
        some_vlans,
    ),
)
tags = st.one_of(st.none(), st.tuples(st.sampled_from(VLANS), st.sampled_from((0, 5))))
hosts = st.sampled_from([f"02:00:00:00:00:{number:02x}" for number in range(10, 14)])
destinations = st.one_of(hosts, st.just("ff:ff:ff:ff:ff:ff"))
# A host does not send to itself.
packets_sent = st.tuples(st.sampled_from(PORTS), hosts, destinations, tags).filter(lambda sent: sent[1] != sent[2])
steps = st.lists(packets_sent, min_size=1, max_size=12)


@dataclass
class Model:
    """A VLAN switch in the plainest words. Written from the manual, port by port, and not from our code."""

    ports: dict[PortNo, VlanMembership | None]
    learned: dict[tuple[int, str], PortNo] = field(default_factory=dict)

    def receive(self, port: PortNo, source: str, destination: str, tag: Tag) -> dict[PortNo, Tag]:
        """Who gets the frame, and with which tag."""
        vlan = self._vlan(self.ports[port], tag)
        if vlan is None:
            return {}
        known = self.learned.get((vlan, destination))
        self.learned[vlan, source] = port
        others = [other for other in PORTS if other != port and known in (None, other)]
        return {other: self._leave(self.ports[other], vlan, tag) for other in others if self._has(other, vlan)}

    def _vlan(self, member: VlanMembership | None, tag: Tag) -> int | None:
        vid = 0 if tag is None else tag[0]
        if member is None or (member.mode is VlanMode.TRUNK and not member.trunks):
            return vid
        if member.mode is VlanMode.ACCESS:
            return member.tag if vid == 0 else None
        if member.mode is VlanMode.TRUNK:
            return vid if vid in member.trunks else None
        if vid in (0, member.tag):
            return member.tag
        return vid if not member.trunks or vid in member.trunks else None

    def _has(self, port: PortNo, vlan: int) -> bool:
        member = self.ports[port]
        if member is None:
            return True
        if member.mode is VlanMode.ACCESS:
            return vlan == member.tag
        if member.mode is VlanMode.TRUNK:
            return not member.trunks or vlan in member.trunks
        return vlan == member.tag or (vlan != 0 and (not member.trunks or vlan in member.trunks))

    def _leave(self, member: VlanMembership | None, vlan: int, tag: Tag) -> Tag:
        is_untagged = member is not None and member.mode in (VlanMode.ACCESS, VlanMode.NATIVE_UNTAGGED)
        if is_untagged and member is not None and vlan == member.tag:
            return None
        if vlan == 0:
            return tag
        return (vlan, 0 if tag is None else tag[1])


def _frame(source: str, destination: str, tag: Tag) -> bytes:
    untagged = packets.ethernet(0x88B5, bytes(46), src=source, dst=destination)
    return untagged if tag is None else packets.vlan(untagged, *tag)


def _bridge(ports: dict[PortNo, VlanMembership | None]) -> tuple[Bridge, SimulatedDatapath]:
    datapath = SimulatedDatapath(clock=lambda: 1.0)
    bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), lambda: 1.0, lambda: None)
    datapath.client = bridge
    for number in ports:
        datapath.add_port(number, f"p{number}")
        bridge.add_port(number, f"p{number}", Mac(0x020000001000 + number))
    bridge.connect(1, Kind.MANAGEMENT, OFP13)
    learning = FlowMod(FlowModCommand.ADD, instructions=(ApplyActions((Output(NORMAL),)),))
    bridge.receive(1, [Envelope(OFP13, 1, learning)])
    bridge.set_memberships({number: member for number, member in ports.items() if member is not None})
    return bridge, datapath


@settings(max_examples=150, deadline=None)
@given(st.tuples(*(memberships for _ in PORTS)), steps)
def test_each_frame_decided_or_cached_leaves_as_the_model_says(
    members: tuple[VlanMembership | None, ...], sent: list[tuple[PortNo, str, str, Tag]]
) -> None:
    ports = dict(zip(PORTS, members, strict=True))
    model, (_, datapath) = Model(ports), _bridge(ports)

    for port, source, destination, tag in sent:
        for _ in range(3):  # decided, decided again, and from the cache
            expected = model.receive(port, source, destination, tag)
            datapath.deliver(port, Frame(_frame(source, destination, tag)))

            got = [(number, frame.data) for number, frame, _ in datapath.take_sent()]
            assert sorted(got) == sorted((to, _frame(source, destination, left)) for to, left in expected.items())
