"""Ports belong to the switch: the host's own IP stack neither sees nor answers what arrives on them.

What: a filter at tc ingress that takes every frame, behind the taps of AF_PACKET (a tap sees a frame before tc does)
and before IP. Else the host answers ARP for the bridge's address out of the wrong port, and IPv6 announces itself.

Why a classic BPF program in direct-action mode: it needs no bpf(2), so it works in an unprivileged user namespace and
where eBPF is forbidden, and it needs no action module (act_gact is missing in some kernels). Where even cls_bpf is
missing, three sysctls come close; ``Guard.method`` says which it is.

Invariants: the filter is there before the interface comes up. ``release_port`` gives back exactly what was,
also after a kill -9: the filter itself remembers it, in an instruction that does nothing else. A datapath may make
the interface promiscuous; that ends too.

Not here: reading and writing frames (``inband.datapath``). tc priority 1 is left to a datapath's own program.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Literal

from inband.errors import HostError, UsageError
from inband.host import codec, rtnetlink, tc
from inband.host.requests import Requests
from inband.host.rtnetlink import Address, Link

_LOG = logging.getLogger(__name__)

_PRIORITY = 2

_INSTRUCTION = struct.Struct("=HBBI")  # sock_filter: code, jt, jf, k
_LD_IMM, _RET_K = 0x00, 0x06
_TC_ACT_STOLEN = 4  # taken, not dropped: no drop counter and no drop monitor speaks of it
_OURS = 0x1B0D0000  # marks the filter as ours; the bits below remember
_WAS_UP, _HAD_IPV6_DISABLED, _MADE_CLSACT, _ENDS_PROMISCUOUS = 1, 2, 4, 8

_IFA_F_GIVEN = 0x712  # what may be asked for: NODAD, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN
_SYSCTLS = {"ipv4/conf/{}/arp_ignore": "8", "ipv4/conf/{}/rp_filter": "1"}
_DISABLE_IPV6 = "ipv6/conf/{}/disable_ipv6"


@dataclass(frozen=True, slots=True)
class Guard:
    """How a port is kept from the host's IP stack; ``changes`` tells people what was done."""

    interface: str
    index: int
    method: Literal["tc", "sysctl"]
    changes: tuple[str, ...]


@dataclass(slots=True)
class _Before:
    """What an interface was like: memory of the filter (_WAS_UP ...), sysctls that changed, IPv6 addresses."""

    guard: Guard
    memory: int
    sysctls: dict[str, str]
    addresses: list[tuple[IPv6Interface, int]]


@dataclass(slots=True)
class PortOwnership:
    """The ports that are ours now, and how to give each back."""

    _owned: dict[str, _Before] = field(default_factory=dict)

    def own_port(self, interface: str) -> Guard:
        """Take an interface from the host's IP stack and bring it up; what we took already is checked again.

        A filter left over by a process that died is adopted. Raises UsageError when there is no such interface,
        HostError when the kernel refuses.
        """
        with Requests() as requests:
            link = requests.link(interface)
            if link is None:
                raise UsageError(f"there is no interface {interface}: make it first, `ip link` shows those there are")
            known = self._owned.get(interface)
            before = _guard(requests, link)
            if known is not None and known.guard.index == link.index:
                before.sysctls = known.sysctls | before.sysctls  # what was at first is what counts
                before.addresses = known.addresses
                before.memory = known.memory
            self._owned[interface] = before
            set_up(requests, link, up=True)
        return before.guard

    def release_port(self, interface: str) -> None:
        """Give an interface back as it was. One that is gone, or was never ours, is no error; nothing is raised."""
        before = self._owned.pop(interface, None)
        if before is None:
            return
        try:
            with Requests() as requests:
                link = requests.link_at(before.guard.index)
                if link is not None:
                    _restore(requests, link, before)
        except HostError as error:
            _LOG.warning("port %s was not given back completely: %s", interface, error)

    def close(self) -> None:
        """Give every port back."""
        for interface in list(self._owned):
            self.release_port(interface)


def guard_inner(requests: Requests, link: Link) -> None:
    """Guard an interface that is never given back: the switch's end of a pair it made itself."""
    _guard(requests, link)


def is_guarded(requests: Requests, link: Link) -> bool:
    """Whether the filter of a switch, alive or dead, is on an interface."""
    return _own_filter(requests, link) is not None


def set_up(requests: Requests, link: Link, *, up: bool) -> None:
    """Bring an interface up or down."""
    body = rtnetlink.link_body(link.index, flags=rtnetlink.IFF_UP if up else 0, change=rtnetlink.IFF_UP)
    requests.change(f"bring {link.name} {'up' if up else 'down'}", rtnetlink.RTM_SETLINK, 0, body)


def set_promiscuous(requests: Requests, index: int, *, promiscuous: bool) -> None:
    """Have an interface take frames for everybody, or end that. Unlike a socket's membership it stays after kill -9."""
    flags = rtnetlink.IFF_PROMISC if promiscuous else 0
    body = rtnetlink.link_body(index, flags=flags, change=rtnetlink.IFF_PROMISC)
    requests.change(f"make interface {index} promiscuous", rtnetlink.RTM_SETLINK, 0, body)


def _guard(requests: Requests, link: Link) -> _Before:
    """Keep the host's IP stack away from an interface that may still be down."""
    addresses = _ipv6_addresses(requests, link)
    memory = _own_filter(requests, link)
    changes = ["tc ingress takes every frame behind the taps"]
    sysctls: dict[str, str] = {}
    method: Literal["tc", "sysctl"] = "tc"
    if memory is None:
        memory = _memory_of(link)
        try:
            memory = _add_filter(requests, link, memory)
        except HostError as error:
            if error.errno == errno.EPERM:
                raise
            method = "sysctl"
            changes = [f"no tc filter ({error})"]
            sysctls = _write_sysctls(link, _SYSCTLS, changes)
    sysctls |= _write_sysctls(link, {_DISABLE_IPV6: "1"}, changes)
    if method == "tc" and not memory & _HAD_IPV6_DISABLED and _sysctl(link, _DISABLE_IPV6).exists():
        sysctls[_DISABLE_IPV6] = "0"
    return _Before(Guard(link.name, link.index, method, tuple(changes)), memory, sysctls, addresses)


def _restore(requests: Requests, link: Link, before: _Before) -> None:
    if not before.memory & _WAS_UP:
        set_up(requests, link, up=False)
    if before.memory & _ENDS_PROMISCUOUS:
        set_promiscuous(requests, link.index, promiscuous=False)
    if before.guard.method == "tc":
        _delete_filter(requests, link)
        is_used = any(_filters(requests, link, parent) for parent in (tc.INGRESS, tc.EGRESS))
        if before.memory & _MADE_CLSACT and not is_used:
            tc.delete_clsact(requests, link.index)
    _write_sysctls(link, before.sysctls, [])
    for address, flags in before.addresses:
        add_address(requests, link, address, flags)


def add_address(requests: Requests, link: Link, address: IPv4Interface | IPv6Interface, ifa_flags: int = 0) -> None:
    """Give an interface an address, with IFA_F_* flags; one that is there already is no error."""
    flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
    body = rtnetlink.address_body(link.index, address, ifa_flags)
    try:
        requests.change(f"add {address} to {link.name}", rtnetlink.RTM_NEWADDR, flags, body)
    except HostError as error:
        if error.errno != errno.EEXIST:
            raise


# The filter


def _program(memory: int) -> bytes:
    return _INSTRUCTION.pack(_LD_IMM, 0, 0, _OURS | memory) + _INSTRUCTION.pack(_RET_K, 0, 0, _TC_ACT_STOLEN)


def _add_filter(requests: Requests, link: Link, memory: int) -> int:
    """Add the filter, and clsact if need be; gives what it remembers."""
    memory |= _MADE_CLSACT if tc.add_clsact(requests, link.index) else 0
    try:
        _put_filter(requests, link, _program(memory))
    except HostError:
        if memory & _MADE_CLSACT:
            tc.delete_clsact(requests, link.index)
        raise
    return memory


def _put_filter(requests: Requests, link: Link, program: bytes) -> None:
    attributes = (
        codec.number(tc.TCA_BPF_OPS_LEN, len(program) // _INSTRUCTION.size, 2),
        codec.attribute(tc.TCA_BPF_OPS, program),
    )
    flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
    body = tc.bpf_filter(link.index, _PRIORITY, *attributes)
    requests.change(f"add the ingress filter to {link.name}", tc.RTM_NEWTFILTER, flags, body)


def _delete_filter(requests: Requests, link: Link) -> None:
    body = tc.bpf_filter(link.index, _PRIORITY)
    try:
        requests.change(f"remove the ingress filter of {link.name}", tc.RTM_DELTFILTER, 0, body)
    except HostError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):  # it was removed by others, or clsact with it
            raise


def _own_filter(requests: Requests, link: Link) -> int | None:
    """What the filter that is there already remembers, None when there is none of ours."""
    for program in _filters(requests, link, tc.INGRESS):
        if len(program) >= _INSTRUCTION.size:
            remembered = int(_INSTRUCTION.unpack_from(program)[3])
            if program == _program(remembered & 0xFFFF):
                return remembered & 0xFFFF
    return None


def _filters(requests: Requests, link: Link, parent: int) -> set[bytes]:
    """The classic BPF programs of the filters there (b"" for any other filter)."""
    found = tc.filters(requests, link.index, parent)
    # Each priority is listed once as itself, without a handle.
    return {each.options.get(tc.TCA_BPF_OPS, b"") for each in found if each.handle}


# Sysctls and IPv6 addresses


def _memory_of(link: Link) -> int:
    disabled = _read(_sysctl(link, _DISABLE_IPV6)) == "1"
    remembered = (_WAS_UP if link.up else 0) | (_HAD_IPV6_DISABLED if disabled else 0)
    return remembered | (0 if link.promiscuous else _ENDS_PROMISCUOUS)


def _sysctl(link: Link, name: str) -> Path:
    return Path("/proc/sys/net", name.format(link.name))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _write_sysctls(link: Link, wanted: dict[str, str], changes: list[str]) -> dict[str, str]:
    """Write what differs; gives the old values of what was written. What cannot be written is said in ``changes``."""
    old = {}
    for name, value in wanted.items():
        path = _sysctl(link, name)
        current = _read(path)
        if current in (value, ""):
            continue
        try:
            path.write_text(value)
        except OSError as error:
            changes.append(f"{path.name} stays {current} ({error.strerror})")
            continue
        old[name] = current
        changes.append(f"{path.name}={value}")
    return old


def _ipv6_addresses(requests: Requests, link: Link) -> list[tuple[IPv6Interface, int]]:
    """The IPv6 addresses that an interface was given, with their flags: disabling IPv6 takes them away."""
    operation = f"look at the addresses of {link.name}"
    wanted = rtnetlink.all_addresses(socket.AF_INET6)
    answers = requests.ask(operation, rtnetlink.RTM_GETADDR, wanted, rtnetlink.read_address, dump=True)
    return [
        (IPv6Interface((int(each.address), each.prefix_length)), each.flags & _IFA_F_GIVEN)
        for each in answers
        if each.interface_index == link.index and _is_given(each)
    ]


def _is_given(address: Address) -> bool:
    return bool(address.flags & rtnetlink.IFA_F_PERMANENT) and address.scope == rtnetlink.RT_SCOPE_UNIVERSE
