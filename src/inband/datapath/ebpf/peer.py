"""Whether known unicast may skip a port: ``bpf_redirect_peer()`` hands a frame to the other end of a veth pair at once.

That saves a trip through a queue of the kernel's, and whatever stands at the port's own egress. So it is right only
where nothing stands there: no queueing discipline, no filter, no checksum or segment that the port would have to finish
because its offloads are off. And only where it works: the kernel drops such frames without a counter when the peer is
in the same network namespace, or is down.

What must stay true: an interface that cannot be looked at is not skipped. What stands there may change at any time,
so whoever wants this looks again when the kernel says that a link or its traffic control has changed (``runtime``).

Not seen, because the kernel neither says it with the interface nor tells when it changes: tcx programs and nftables
chains at egress. ``docs/decisions/8-known-unicast-skips-the-port.md``.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct

from inband.errors import HostError
from inband.host import rtnetlink, tc
from inband.host.requests import Requests

_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change mask
_IFLA_QDISC, _IFLA_LINKINFO, _IFLA_LINK_NETNSID = 6, 18, 37
_IFLA_INFO_KIND = 1
_RTEXT_FILTER_SKIP_STATS = struct.pack("=I", 8)
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_SIOCETHTOOL = 0x8946
_ETHTOOL_GTXCSUM, _ETHTOOL_GTSO = 0x16, 0x1E
_IFREQ = struct.Struct("16sP")


def may_redirect_to_peer(interface: str, index: int) -> bool:
    """Whether a frame that is handed to an interface's peer arrives as if it had left by the interface."""
    try:
        with Requests() as requests:
            return (
                _is_plain_pair(requests, index)
                and not tc.filters(requests, index, tc.EGRESS)
                and _is_on(interface, _ETHTOOL_GTXCSUM)
                and _is_on(interface, _ETHTOOL_GTSO)
            )
    except (HostError, OSError):
        return False


def _is_plain_pair(requests: Requests, index: int) -> bool:
    """A veth whose peer is in another namespace, both ends up, with no queueing discipline."""
    body = _LINK.pack(0, 0, index, 0, 0) + rtnetlink.attribute(rtnetlink.IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    answers = requests.send_raw(f"look at interface {index}", rtnetlink.RTM_GETLINK, 0, body)
    return bool(answers) and is_plain_pair(answers[0].body)


def is_plain_pair(body: bytes) -> bool:
    """The same of what the kernel says of a link (RTM_NEWLINK); False for rubbish."""
    try:
        _, _, _, flags, _ = _LINK.unpack_from(body)
        found = rtnetlink.attributes(body, _LINK.size)
        kind = rtnetlink.attributes(found.get(_IFLA_LINKINFO, b""), 0).get(_IFLA_INFO_KIND, b"")
    except (ValueError, struct.error):
        return False
    return (
        bool(flags & _IFF_UP and flags & _IFF_LOWER_UP)
        and kind.rstrip(b"\0") == b"veth"
        and _IFLA_LINK_NETNSID in found
        and found.get(_IFLA_QDISC, b"").rstrip(b"\0") == b"noqueue"
    )


def _is_on(interface: str, command: int) -> bool:
    """An offload of an interface (struct ethtool_value). Raises OSError."""
    value = array.array("I", (command, 0))
    address, _ = value.buffer_info()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        fcntl.ioctl(asking, _SIOCETHTOOL, _IFREQ.pack(interface.encode(), address))
    return bool(value[1])
