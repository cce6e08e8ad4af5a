"""Whether known unicast may skip a port: ``bpf_redirect_peer()`` hands a frame to the other end of a veth pair at once.

That saves a trip through a queue of the kernel's, and whatever is set up at the port's own egress. So it is right only
where there is nothing: no queueing discipline, no filter, no checksum or segment that the port would have to finish
because its offloads are off. And only where it works: the kernel drops such frames without a counter when the peer is
in the same network namespace, or is down.

Invariants: an interface that cannot be looked at is not skipped. What is set up there may change at any time,
so it has to be looked at again when the kernel says that a link or its traffic control has changed (``runtime``).

Which frames are for a host there the program finds out itself. The address of the other end it is told, for not every
host is known to NORMAL.

Not seen, because the kernel neither says it with the interface nor tells when it changes: tcx programs and nftables
chains at egress. ``docs/decisions/8-known-unicast-skips-the-port.md``.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from inband.errors import HostError
from inband.host import tc
from inband.host.requests import Requests
from inband.host.rtnetlink import Link
from inband.vocabulary.addresses import BROADCAST, Mac

_SIOCETHTOOL = 0x8946
_ETHTOOL_GTXCSUM, _ETHTOOL_GTSO = 0x16, 0x1E
_IFREQ = struct.Struct("16sP")


def peer_to_skip_to(interface: str, index: int) -> Mac | None:
    """The address of an interface's peer, if a frame that is handed to it arrives as if it had left by the interface.

    It is BROADCAST, which no host has, where the peer may not be asked; None: no frame may be handed to it.
    """
    try:
        with Requests() as requests:
            link = requests.link_at(index)
            if (
                link is None
                or not is_plain_pair(link)
                or tc.filters(requests, index, tc.EGRESS)
                or not (_is_on(interface, _ETHTOOL_GTXCSUM) and _is_on(interface, _ETHTOOL_GTSO))
            ):
                return None
            return _address_of_peer(requests, link)
    except (HostError, OSError):
        return None


def _address_of_peer(requests: Requests, link: Link) -> Mac:
    try:
        peer = requests.peer_of(link)
    except HostError:  # its namespace is another user's
        return BROADCAST
    return BROADCAST if peer is None else peer.mac


def is_plain_pair(link: Link) -> bool:
    """A veth whose peer is in another namespace, both ends up, with no queueing discipline."""
    return link.up and link.lower_up and link.kind == "veth" and link.peer_elsewhere and link.queueing == "noqueue"


def _is_on(interface: str, command: int) -> bool:
    """An offload of an interface (struct ethtool_value). Raises OSError."""
    value = array.array("I", (command, 0))
    address, _ = value.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        fcntl.ioctl(asking, _SIOCETHTOOL, _IFREQ.pack(interface.encode(), address))
    return bool(value[1])
