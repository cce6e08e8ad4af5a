"""The table: frames in, actions, frames out. Every datapath has to give the same answers.

A row's frames arrive at port 1, each three times: unknown, known to the cache, and known so well that a datapath may
take its shortest way. ``out`` says what leaves for one time, as it would look on a wire: checksums finished, cut into
segments. Frames are as a veth interface delivers them, so most carry half a checksum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inband.flow.actions import (
    Clone,
    DatapathAction,
    DecNwTtl,
    Output,
    PacketInReason,
    PopQueue,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetQueue,
    ToController,
)
from inband.flow.ports import PortNo
from inband.packet.frame import Frame, Offload
from inband.testing import packets
from inband.testing.packets import IP6_A, IP6_B, MAC_A, offloaded, tcp, udp, vlan
from inband.vocabulary.addresses import Mac, parse_ip

P1, P2, P3 = PortNo(1), PortNo(2), PortNo(3)
MISSING = PortNo(77)
ANSWER = ToController(PacketInReason.ACTION, 0xFFFF, 0, 1)

MAC_C = "02:00:00:00:00:0c"
DATA = bytes(range(256)) * 4
LONG = DATA * 10


@dataclass(frozen=True, slots=True)
class Row:
    """``counted`` names counters that each of the frames raises, where it says more than hit or miss."""

    name: str
    frame: Frame
    actions: tuple[DatapathAction, ...]
    out: tuple[tuple[PortNo, bytes], ...] = ()
    packet_in: bytes | None = None
    counted: tuple[str, ...] = ()


def _tagged(frame: Frame, vid: int, pcp: int = 0) -> Frame:
    """The same frame behind a tag; offsets count from the frame's start."""
    offload = frame.offload
    if offload is not None:
        header = offload.hdr_len + 4 if offload.gso_size else 0
        offload = replace(offload, csum_start=offload.csum_start + 4, hdr_len=header)
    return Frame(vlan(frame.data, vid, pcp), offload)


def _on_wire(frame: bytes, size: int, *, of: bytes) -> tuple[bytes, ...]:
    """A long TCP frame as its segments: each built anew, not cut."""
    count = -(-len(of) // size)
    return tuple(
        _identified(
            tcp(
                payload=of[index * size : (index + 1) * size],
                sequence=1 + index * size,
                flags=0x18 if index == count - 1 else 0x10,
            ),
            index,
        )
        for index in range(count)
    )


def _identified(frame: bytes, identification: int) -> bytes:
    """The IPv4 frame with another identification (RFC 1624: the checksum goes down by what the word goes up)."""
    data = bytearray(frame)
    data[18:20] = identification.to_bytes(2, "big")
    checksum = int.from_bytes(data[24:26], "big") - identification
    data[24:26] = (checksum % 0xFFFF).to_bytes(2, "big")
    return bytes(data)


def to(port: PortNo, *frames: bytes) -> tuple[tuple[PortNo, bytes], ...]:
    """Frames out of one port."""
    return tuple((port, frame) for frame in frames)


def _plain() -> list[Row]:
    """Frames that pass as they are."""
    frames = {
        "tcp": tcp(payload=DATA),
        "udp": udp(dst_port=5000, payload=DATA),
        "tcp over IPv6": tcp(IP6_A, IP6_B, payload=DATA),
        "udp over IPv6": udp(IP6_A, IP6_B, dst_port=5000, payload=DATA),
        "a DNS question": udp(payload=b"question"),
        "a DHCP request": packets.dhcp_request(),
    }
    rows = [
        Row(
            "sctp without a checksum",
            Frame(packets.sctp(chunks=DATA)[:42] + bytes(4) + packets.sctp(chunks=DATA)[46:], Offload(34, 8)),
            (Output(P2),),
            to(P2, packets.sctp(chunks=DATA)),
        )
    ]
    rows += [
        Row(f"{name}, half a checksum", offloaded(data), (Output(P2),), to(P2, data)) for name, data in frames.items()
    ]
    frames |= {
        "an ARP request": packets.arp_request(),
        "an ARP reply": packets.arp_reply(),
        "a neighbour solicitation": packets.neighbour_solicitation(),
        "a ping": packets.icmp_echo(payload=DATA),
        "sctp": packets.sctp(chunks=bytes(16)),
        "an unknown type": packets.ethernet(0x88B5, DATA),
        "a frame of the largest MTU": packets.ethernet(0x88B5, bytes(1500)),
        "nothing but a header": packets.ethernet(0x88B5),
        "half an ARP request": packets.arp_request()[:30],
        "half a TCP header": tcp()[:44],
        "an IPv4 header that claims to be longer": tcp()[:14] + b"\x4f" + tcp()[15:],
        "a length field instead of a type": packets.ethernet(0x0040, bytes(64)),
        "a tag": vlan(tcp(payload=DATA), 5, 3),
        "a priority tag": vlan(tcp(payload=DATA), 0, 7),
        "two tags": vlan(vlan(tcp(payload=DATA), 5), 6, eth_type=0x88A8),
        "a tagged ARP request": vlan(packets.arp_request(), 5),
        "a tagged unknown type": vlan(packets.ethernet(0x88B5, DATA), 5),
    }
    return rows + [Row(name, Frame(data), (Output(P2),), to(P2, data)) for name, data in frames.items()]


def _offloaded() -> list[Row]:
    """Frames that wait to be cut."""
    long = tcp(payload=LONG, flags=0x18)
    segments = _on_wire(long, 1000, of=LONG)
    gso = offloaded(long, gso_size=1000)
    tagged = tuple(vlan(segment, 9) for segment in segments)
    other_mac = tuple(_with_dst(segment) for segment in segments)
    return [
        Row("a long TCP frame passes uncut", gso, (Output(P2),), to(P2, *segments)),
        Row("a long TCP frame to two ports", gso, (Output(P2), Output(P3)), to(P2, *segments) + to(P3, *segments)),
        Row("a long TCP frame behind a tag", _tagged(gso, 9), (Output(P2),), to(P2, *tagged)),
        Row(
            "a long TCP frame gets a tag", gso, (PushVlan(), SetField("vlan_vid", 0x1009), Output(P2)), to(P2, *tagged)
        ),
        Row("a long TCP frame loses its tag", _tagged(gso, 9), (PopVlan(), Output(P2)), to(P2, *segments)),
        Row(
            "a long TCP frame to another address",
            gso,
            (SetField("eth_dst", Mac.parse(MAC_C)), Output(P2)),
            to(P2, *other_mac),
        ),
    ]


def _with_dst(frame: bytes) -> bytes:
    return Mac.parse(MAC_C).packed + frame[6:]


def _actions() -> list[Row]:
    """What actions do, on a frame with half a checksum."""
    data = tcp(payload=DATA)
    frame = offloaded(data)
    mac_c = Mac.parse(MAC_C)
    address = int(parse_ip("10.0.0.9"))
    to_mac_c = tcp(payload=DATA, dst=MAC_C)
    return [
        Row("a drop", frame, (), counted=("dropped_by_flow",)),
        Row("back out of the port it came by", frame, (Output(P1),), to(P1, data)),
        Row("a flood", frame, (Output(P2), Output(P3)), to(P2, data) + to(P3, data)),
        Row(
            "a port that is not there, and one that is",
            frame,
            (Output(MISSING), Output(P2)),
            to(P2, data),
            counted=("output_no_port",),
        ),
        Row("a queue", frame, (SetQueue(1), Output(P2), PopQueue(), Output(P3)), to(P2, data) + to(P3, data)),
        Row("queue 0 without a queue discipline", frame, (SetQueue(0), Output(P2)), to(P2, data)),
        Row(
            "an edit between two outputs",
            frame,
            (Output(P2), SetField("eth_dst", mac_c), Output(P3)),
            to(P2, data) + to(P3, to_mac_c),
        ),
        Row(
            "an edit in a clone",
            frame,
            (Clone((SetField("eth_dst", mac_c), Output(P2))), Output(P3)),
            to(P2, to_mac_c) + to(P3, data),
        ),
        Row("a spent hop", frame, (DecNwTtl(), Output(P2)), to(P2, tcp(payload=DATA, ttl=63))),
        Row(
            "another address and port",
            frame,
            (SetField("ipv4_dst", address), SetField("tcp_dst", 8080), Output(P2)),
            to(P2, tcp(dst_ip="10.0.0.9", dst_port=8080, payload=DATA)),
        ),
        Row(
            "another address of a finished frame",
            Frame(data),
            (SetField("ipv4_dst", address), Output(P2)),
            to(P2, tcp(dst_ip="10.0.0.9", payload=DATA)),
        ),
        Row(
            "another port in IPv6",
            offloaded(udp(IP6_A, IP6_B, dst_port=5000, payload=DATA)),
            (SetField("udp_dst", 5001), Output(P2)),
            to(P2, udp(IP6_A, IP6_B, dst_port=5001, payload=DATA)),
        ),
        Row(
            "a tag with a VLAN",
            frame,
            (PushVlan(), SetField("vlan_vid", 0x1007), Output(P2)),
            to(P2, vlan(data, 7)),
        ),
        Row("a tag less", _tagged(frame, 7, 5), (PopVlan(), Output(P2)), to(P2, data)),
        Row(
            "another VLAN",
            _tagged(frame, 7, 5),
            (SetField("vlan_vid", 0x1008), Output(P2)),
            to(P2, vlan(data, 8, 5)),
        ),
        Row(
            "a second tag",
            _tagged(frame, 7),
            (PushVlan(0x88A8), Output(P2)),
            to(P2, vlan(vlan(data, 7), 7, eth_type=0x88A8)),
        ),
        Row(
            "an MPLS label",
            frame,
            (PushMpls(), SetField("mpls_label", 16), Output(P2)),
            to(P2, data[:12] + b"\x88\x47" + (16 << 12 | 1 << 8 | 64).to_bytes(4, "big") + data[14:]),
        ),
        Row("to the controller", frame, (ANSWER,), packet_in=data, counted=("to_controller",)),
        Row(
            "to the controller between two ports",
            frame,
            (Output(P2), PushVlan(), ANSWER, PopVlan(), Output(P3)),
            to(P2, data) + to(P3, data),
            packet_in=vlan(data, 0),
            counted=("to_controller",),
        ),
        Row(
            "a source address of its own",
            Frame(tcp(src=MAC_C)),
            (SetField("eth_src", Mac.parse(MAC_A)), Output(P2)),
            to(P2, tcp()),
        ),
    ]


def _members() -> list[Row]:
    """What NORMAL makes of a frame among ports that are members of VLANs: as it is first, then all others edited."""
    frame, data = offloaded(tcp(payload=DATA)), tcp(payload=DATA)
    into = SetField("vlan_vid", 0x1007)
    return [
        Row(
            "from an access port to one and to a trunk",
            frame,
            (Output(P2), PushVlan(), into, Output(P3)),
            to(P2, data) + to(P3, vlan(data, 7)),
        ),
        Row(
            "from a trunk to a trunk and to an access port",
            _tagged(frame, 7, 5),
            (Output(P2), PopVlan(), Output(P3)),
            to(P2, vlan(data, 7, 5)) + to(P3, data),
        ),
        Row(
            "a priority alone from an access port to a trunk and to an access port",
            _tagged(frame, 0, 5),
            (into, Output(P2), PopVlan(), Output(P3)),
            to(P2, vlan(data, 7, 5)) + to(P3, data),
        ),
    ]


ROWS: tuple[Row, ...] = (*_plain(), *_offloaded(), *_actions(), *_members())
