"""Changes to the host, asked of rtnetlink one at a time and answered at once.

What: a socket that sends one request and waits for its answer. The kernel answers inside the system call, so this
takes tens of microseconds and may be used inside a running event loop; it is meant for start-up and for commands.
Messages are built and read with pyroute2's message classes; pyroute2's own sockets would start a thread with an event
loop.

What must stay true: a refusal is HostError with the kernel's own words where it gives some; nothing else is raised.
Not here: notifications and lookups (``inband.host.netlink``).
"""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import ModuleType
from typing import Any

from inband.errors import HostError, UsageError, WireError
from inband.host import rtnetlink
from inband.vocabulary.addresses import Mac


@contextmanager
def _only_submodules() -> Iterator[None]:
    """Import modules of pyroute2 without running the package's own ``__init__``.

    That imports everything it has (databases, firewalls, wireless): 120 ms of processor time for each start of a
    switch, against 20 ms for the messages. Afterwards ``import pyroute2`` does what it always does.
    """
    spec = importlib.util.find_spec("pyroute2")
    if spec is None or spec.submodule_search_locations is None or "pyroute2" in sys.modules:
        yield
        return
    package = ModuleType("pyroute2")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["pyroute2"] = package
    try:
        yield
    finally:
        del sys.modules["pyroute2"]


with _only_submodules():
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = ["Link", "Requests", "ifaddrmsg", "ifinfmsg", "rtmsg"]

NLM_F_ACK, NLM_F_EXCL = 0x4, 0x200
RTM_SETLINK, RTM_SETNEIGHTBL = 19, 67
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_NLMSGERR_ATTR_MSG = 1
_TIMEOUT_S = 5.0  # others may hold the kernel's rtnl lock, for example while many interfaces go away
_IFF_UP, _IFF_LOOPBACK, _ARPHRD_ETHER = 0x1, 0x8, 1
IFF_PROMISC = 0x100
_TEMPORARY = frozenset({errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ENOBUFS, errno.ENOMEM, errno.ETIMEDOUT})

Attributes = Sequence[tuple[str, Any]]
"""pyroute2's form: ("IFLA_IFNAME", "br0"), nested ones as {"attrs": [...]}."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface: ``master`` and ``peer`` are indexes, 0 for none; ``peer_elsewhere``: in another namespace."""

    index: int
    name: str
    kind: str
    mac: Mac
    up: bool
    promiscuous: bool
    alias: str
    master: int
    peer: int
    peer_elsewhere: bool
    loopback: bool
    ethernet: bool


class Requests:
    """Use as a context manager. Works in the network namespace of the calling thread."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._socket.bind((0, 0))
        except OSError as error:
            raise _refused("open rtnetlink", error.errno or 0) from error
        self._socket.settimeout(_TIMEOUT_S)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Requests:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def link(self, name: str) -> Link | None:
        """The interface of that name, None when there is none."""
        return self._link(0, [("IFLA_IFNAME", name)], f"look at interface {name}")

    def link_at(self, index: int) -> Link | None:
        """The interface with that index, None when there is none."""
        return self._link(index, [], f"look at interface {index}")

    def send(
        self,
        operation: str,
        message_class: Any,
        kind: int,
        flags: int,
        fields: Mapping[str, int],
        attributes: Attributes,
    ) -> list[Any]:
        """Send a message of one of pyroute2's classes; gives the answers as that class. ``operation`` is for people."""
        message = message_class()
        for name, value in fields.items():
            message[name] = value
        message["attrs"] = list(attributes)
        message["header"]["type"] = kind
        message.encode()
        body = bytes(message.data[16:])
        return [_decoded(message_class, answer) for answer in self.send_raw(operation, kind, flags, body)]

    def send_raw(self, operation: str, kind: int, flags: int, body: bytes) -> list[rtnetlink.Message]:
        """Send a message of type ``kind`` and wait for the end of its answer; raises HostError."""
        self._sequence += 1
        dump = flags & rtnetlink.NLM_F_DUMP == rtnetlink.NLM_F_DUMP and not flags & rtnetlink.NLM_F_CREATE
        flags |= rtnetlink.NLM_F_REQUEST | (0 if dump else NLM_F_ACK)
        try:
            self._socket.send(rtnetlink.message_bytes(kind, flags, self._sequence, body))
            return self._answers(operation)
        except TimeoutError as error:
            raise _refused(operation, errno.ETIMEDOUT) from error
        except OSError as error:
            raise _refused(operation, error.errno or 0) from error
        except WireError as error:
            raise HostError(operation, str(error)) from error

    def _answers(self, operation: str) -> list[rtnetlink.Message]:
        answers: list[rtnetlink.Message] = []
        while True:
            for message in rtnetlink.split(self._socket.recv(1 << 16)):
                if message.sequence != self._sequence:
                    continue
                if message.kind == rtnetlink.NLMSG_ERROR:
                    number = rtnetlink.error_number(message.body)
                    if number:
                        raise _refused(operation, number, _kernel_words(message.body))
                    return answers
                if message.kind == rtnetlink.NLMSG_DONE:
                    return answers
                answers.append(message)

    def _link(self, index: int, attributes: Attributes, operation: str) -> Link | None:
        try:
            # RTEXT_FILTER_SKIP_STATS
            wanted = [*attributes, ("IFLA_EXT_MASK", 8)]
            answers = self.send(operation, ifinfmsg, rtnetlink.RTM_GETLINK, 0, {"index": index}, wanted)
        except HostError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return _link(answers[0]) if answers else None


def check_interface_name(name: str) -> None:
    """Raise UsageError for what the kernel would not take as an interface's name (dev_valid_name)."""
    if not 0 < len(name.encode()) < 16 or name in (".", "..") or any(c in "/:" or c.isspace() for c in name):
        raise UsageError(f"{name!r} cannot be an interface: names have 1 to 15 characters, without spaces, '/' and ':'")


def family_of(address: IPv4Address | IPv6Address) -> int:
    """AF_INET or AF_INET6, also for an address with its network."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    hardware = message.get_attr("IFLA_ADDRESS") or ""
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME") or "",
        kind=(info.get_attr("IFLA_INFO_KIND") if info is not None else None) or "",
        mac=Mac.parse(hardware) if len(hardware) == 17 else Mac(0),
        up=bool(message["flags"] & _IFF_UP),
        promiscuous=bool(message["flags"] & IFF_PROMISC),
        alias=message.get_attr("IFLA_IFALIAS") or "",
        master=message.get_attr("IFLA_MASTER") or 0,
        peer=message.get_attr("IFLA_LINK") or 0,
        peer_elsewhere=message.get_attr("IFLA_LINK_NETNSID") is not None,
        loopback=bool(message["flags"] & _IFF_LOOPBACK),
        ethernet=message["ifi_type"] == _ARPHRD_ETHER,
    )


def _decoded(message_class: Any, answer: rtnetlink.Message) -> Any:
    message = message_class(rtnetlink.message_bytes(answer.kind, answer.flags, answer.sequence, answer.body))
    message.decode()
    return message


def _kernel_words(body: bytes) -> str:
    """The text the kernel adds to an error (NETLINK_EXT_ACK), after errno and the request's header."""
    try:
        text = rtnetlink.attributes(body, 20).get(_NLMSGERR_ATTR_MSG, b"")
    except (ValueError, struct.error):
        return ""
    return text.rstrip(b"\0").decode(errors="replace")


def _refused(operation: str, number: int, words: str = "") -> HostError:
    reason = os.strerror(number) + (f" ({words})" if words else "")
    if number == errno.EPERM:
        reason += ": this needs CAP_NET_ADMIN, so run it as root or in a user namespace of your own"
    return HostError(operation, reason, errno=number, temporary=number in _TEMPORARY)
