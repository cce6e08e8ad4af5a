"""DHCP: replies that pass the switch, the simulator's client, and the DNS servers that a lease leaves in a file.

Checked: nothing is raised; a reply is for the client that its payload names; the client takes an address at most; of a
file come a few addresses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

from inband.packet.dhcp import reply_chaddr
from inband.packet.frame import Frame
from inband.runtime.dns_servers import find_servers
from inband.sim import topologies
from inband.sim.dhcp import DISCOVER, NOWHERE, build, read
from inband.switch.names import MAX_SERVERS
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.fuzz.fuzzing import Script, Target, sized

SWITCH_MAC_AT = 28  # chaddr, in a message
_ANSWERED_S = 0.1


class Kind(IntEnum):
    """What is looked at."""

    CLIENT = 0
    MESSAGE = 1
    FILES = 2


def check(data: bytes) -> None:
    """One of: frames for a client that waits for an address; messages; files."""
    script = Script(data)
    match Kind(script.number() % len(Kind)):
        case Kind.CLIENT:
            _check_client(script)
        case Kind.MESSAGE:
            message = script.sized()
            read(message)
            assert reply_chaddr(packets.udp(src_port=67, dst_port=68, payload=message)) in (None, _chaddr(message))
        case Kind.FILES:
            _check_files(script.sized(), script.sized(), script.sized())


def _check_client(script: Script) -> None:
    """A switch that has just asked gets frames: as they are, or as a DHCP reply to its MAC address."""
    made, _ = topologies.address_by_dhcp()
    switch = made.switches[0]
    made.net.start()
    switch.get_address()
    local = switch.only.local
    while script:
        is_reply, payload = script.number() & 1, script.sized()
        if is_reply:
            message = payload[:SWITCH_MAC_AT] + local.mac.packed + payload[SWITCH_MAC_AT + 6 :]
            payload = packets.udp(src_port=67, dst_port=68, payload=message)
        for tap in list(local.taps):
            tap(Frame(payload).data)
        made.net.run(0.01)
    made.net.run(_ANSWERED_S)


def _chaddr(message: bytes) -> Mac:
    return Mac.from_bytes6(message[SWITCH_MAC_AT : SWITCH_MAC_AT + 6].ljust(6, b"\0"))


def _check_files(lease: bytes, resolv_conf: bytes, behind: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="inband-fuzz-") as name:
        folder = Path(name)
        files = {"br0.4.dns": lease, "resolv.conf": resolv_conf, "behind": behind}
        for file, data in files.items():
            (folder / file).write_bytes(data)
        found = find_servers(folder, folder / "resolv.conf", folder / "behind")
        assert len(found.servers) <= MAX_SERVERS


def seeds() -> Iterable[bytes]:
    """A reply by hand, all kinds of options, files."""
    options = {53: b"\x05", 54: b"\x0a\0\0\1", 1: b"\xff\xff\xff\0", 3: b"\x0a\0\0\1", 51: b"\0\0\1\0"}
    reply = build(2, Mac(2), NOWHERE, options)
    offer = build(2, Mac(2), NOWHERE, {**options, 53: b"\x02"})
    yield bytes((Kind.CLIENT, 1)) + sized(offer) + b"\1" + sized(reply)
    yield bytes((Kind.CLIENT, 1)) + sized(reply)
    yield bytes((Kind.CLIENT, 0)) + sized(packets.dhcp_reply())
    yield bytes((Kind.CLIENT, 0)) + sized(packets.dhcp_request())
    yield bytes((Kind.MESSAGE,)) + sized(reply)
    yield bytes((Kind.MESSAGE,)) + sized(build(1, Mac(3), NOWHERE, {53: DISCOVER}))
    yield (
        bytes((Kind.FILES,))
        + sized(b"192.0.2.1\n::1\nx\n")
        + sized(b"nameserver 127.0.0.53\noptions x\n")
        + sized(b"nameserver fe80::1%eth0\n")
    )


WORDS = (b"\x63\x82\x53\x63", b"\x35\1\5", b"\x35\1\2", b"\1\4\xff\xff\xff\0", b"\3\4\x0a\0\0\1", b"\x36\4", b"\xff",
    b"nameserver ", b"127.0.0.1", b"fe80::1%", b"\n")  # fmt: skip
TARGET = Target(check, seeds, WORDS, max_bytes=1500)
