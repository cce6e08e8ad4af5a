"""Ports belong to the switch: the host's own IP stack neither sees nor answers what arrives on them.

What: a filter at tc ingress that takes every frame, behind the taps of AF_PACKET (a tap sees a frame before tc does)
and before IP. Else the host answers ARP for the bridge's address out of the wrong port, and IPv6 announces itself.

Why a classic BPF program in direct-action mode: it needs no bpf(2), so it works in an unprivileged user namespace and
where eBPF is forbidden, and it needs no action module (act_gact is missing in some kernels). Where even cls_bpf is
missing, three sysctls come close; ``Guard.method`` says which it is.

Invariants: the filter is there before the interface comes up. ``release_port`` gives back exactly what was,
also after a kill -9: the filter itself remembers it, in instructions that do nothing else. So it is the first thing
that is made, in one step with its memory, and the last that goes. A datapath may make the interface promiscuous; that
ends too.

Not here: reading and writing frames (``inband.datapath``). tc priority 1 is left to a datapath's own program; one that
a process left which died goes when the port is given back, or when a datapath has it that has no such program.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import IPV6LENGTH, IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Literal, NamedTuple

from inband.errors import HostError, UsageError
from inband.host import codec, rtnetlink, tc
from inband.host.requests import Requests
from inband.host.rtnetlink import Address, Link

_LOG = logging.getLogger(__name__)

_PRIORITY = 2
PROGRAM_PRIORITY, PROGRAM_NAME = 1, "inband"
"""Of the filter in which a datapath has its program."""

_INSTRUCTION = struct.Struct("=HBBI")  # sock_filter: code, jt, jf, k
_LD_IMM, _RET_K = 0x00, 0x06
_STOLEN = 4  # taken, not dropped: no drop counter and no drop monitor speaks of it
_OURS = 0x1B0D0000  # marks the filter as ours; the bits below remember
_WAS_UP, _HAD_IPV6_DISABLED, _MADE_CLSACT, _ENDS_PROMISCUOUS = 1, 2, 4, 8
# An IPv6 address in the filter: its flags and prefix length in one word, then its own four. The kernel takes 4096.
_PREFIX_BITS, _PREFIX_MASK, _WORDS = 8, 0xFF, struct.Struct("!4I")
_ADDRESS_WORDS, _MAX_ADDRESSES = 5, 100

Given = tuple[IPv6Interface, int]
"""An address that an interface was given, with its IFA_F_* flags."""

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


class _Memory(NamedTuple):
    """What a filter remembers: _WAS_UP and so on, and the IPv6 addresses that go with IPv6."""

    bits: int
    addresses: tuple[Given, ...]


@dataclass(slots=True)
class _Before:
    """What an interface was like, and which sysctls have changed since."""

    guard: Guard
    memory: _Memory
    sysctls: dict[str, str]


@dataclass(slots=True)
class PortOwnership:
    """The ports that are ours now, and how to give each back.

    ``leaves_program``: a datapath's program that is there already goes on, for the owner puts its own in its place.
    """

    leaves_program: bool = False
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
                before.memory = known.memory
            self._owned[interface] = before
            if not self.leaves_program:
                _remove_left_program(requests, link)
            if not link.up:
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
    """Have an interface take all frames, or end that. Unlike a socket's membership it stays after kill -9."""
    flags = rtnetlink.IFF_PROMISC if promiscuous else 0
    body = rtnetlink.link_body(index, flags=flags, change=rtnetlink.IFF_PROMISC)
    requests.change(f"make interface {index} promiscuous", rtnetlink.RTM_SETLINK, 0, body)


def _guard(requests: Requests, link: Link) -> _Before:
    """Keep the host's IP stack away from an interface that may still be down."""
    memory = _own_filter(requests, link)
    changes = ["tc ingress takes every frame behind the taps"]
    sysctls: dict[str, str] = {}
    method: Literal["tc", "sysctl"] = "tc"
    if memory is None:
        memory = _memory_of(requests, link)
        try:
            _add_filter(requests, link, memory)
        except HostError as error:
            if error.errno == errno.EPERM:
                raise
            method = "sysctl"
            changes = [f"no tc filter ({error})"]
            sysctls = _write_sysctls(link, _SYSCTLS, changes)
    sysctls |= _write_sysctls(link, {_DISABLE_IPV6: "1"}, changes)
    if method == "tc" and not memory.bits & _HAD_IPV6_DISABLED and _sysctl(link, _DISABLE_IPV6).exists():
        sysctls[_DISABLE_IPV6] = "0"
    return _Before(Guard(link.name, link.index, method, tuple(changes)), memory, sysctls)


def _restore(requests: Requests, link: Link, before: _Before) -> None:
    bits, addresses = before.memory
    if not bits & _WAS_UP:
        set_up(requests, link, up=False)
    if bits & _ENDS_PROMISCUOUS:
        set_promiscuous(requests, link.index, promiscuous=False)
    _write_sysctls(link, before.sysctls, [])
    for address, flags in addresses:
        add_address(requests, link, address, flags)
    if before.guard.method == "tc":
        _remove_filter(requests, link, with_clsact=bool(bits & _MADE_CLSACT))


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


def _program(memory: _Memory) -> bytes:
    words = [_OURS | memory.bits]
    for address, flags in memory.addresses:
        words += [flags << _PREFIX_BITS | address.network.prefixlen, *_WORDS.unpack(address.packed)]
    return b"".join(_INSTRUCTION.pack(_LD_IMM, 0, 0, word) for word in words) + _INSTRUCTION.pack(_RET_K, 0, 0, _STOLEN)


def _add_filter(requests: Requests, link: Link, memory: _Memory) -> None:
    """Add the filter, in one step with clsact if need be: who is killed has made both or none."""
    program = _program(memory)
    attributes = (
        codec.number(tc.TCA_BPF_OPS_LEN, len(program) // _INSTRUCTION.size, 2),
        codec.attribute(tc.TCA_BPF_OPS, program),
    )
    made = (tc.clsact_change(link.index),) if memory.bits & _MADE_CLSACT else ()
    body = tc.bpf_filter(link.index, _PRIORITY, *attributes)
    change = tc.RTM_NEWTFILTER, codec.NLM_F_CREATE | codec.NLM_F_EXCL, body
    try:
        requests.change_together(f"add the ingress filter to {link.name}", *made, change)
    except HostError:
        if made and tc.has_clsact(requests, link.index):
            tc.delete_clsact(requests, link.index)
        raise


def _remove_left_program(requests: Requests, link: Link) -> None:
    """Remove what a datapath has left that died: it would forward frames that another one takes, too."""
    if any(is_program(each) for each in tc.filters(requests, link.index, tc.INGRESS)):
        body = tc.bpf_filter(link.index, PROGRAM_PRIORITY)
        requests.change(f"remove the program of {link.name}", tc.RTM_DELTFILTER, 0, body)


def is_program(entry: tc.Entry) -> bool:
    """Whether a filter is a datapath's program."""
    return entry.handle != 0 and codec.as_text(entry.options.get(tc.TCA_BPF_NAME, b"")) == PROGRAM_NAME


def _remove_filter(requests: Requests, link: Link, *, with_clsact: bool) -> None:
    """Remove the filter, with clsact if that was made for it and has no other filter: in one step, too."""
    _remove_left_program(requests, link)
    others = [each for each in tc.filters(requests, link.index, tc.INGRESS) if each.handle and not _memory_in(each)]
    if with_clsact and not others and not tc.filters(requests, link.index, tc.EGRESS):
        tc.delete_clsact(requests, link.index)
        return
    try:
        body = tc.bpf_filter(link.index, _PRIORITY)
        requests.change(f"remove the ingress filter of {link.name}", tc.RTM_DELTFILTER, 0, body)
    except HostError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):  # it was removed by others, or clsact with it
            raise


def _own_filter(requests: Requests, link: Link) -> _Memory | None:
    """What the filter that is there already remembers, None when there is none of ours."""
    found = (_memory_in(each) for each in tc.filters(requests, link.index, tc.INGRESS) if each.handle)
    return next((memory for memory in found if memory is not None), None)


def _memory_in(entry: tc.Entry) -> _Memory | None:
    """What a filter remembers, None when it is not ours. (Each priority is listed once as itself, without a handle.)"""
    program = entry.options.get(tc.TCA_BPF_OPS, b"")
    if len(program) < 2 * _INSTRUCTION.size or len(program) % _INSTRUCTION.size:
        return None
    first, *words, _ = (int(instruction[3]) for instruction in _INSTRUCTION.iter_unpack(program))
    heads = words[::_ADDRESS_WORDS]
    if len(words) % _ADDRESS_WORDS or any(head & _PREFIX_MASK > IPV6LENGTH for head in heads):
        return None
    packed = [_WORDS.pack(*words[at + 1 : at + _ADDRESS_WORDS]) for at in range(0, len(words), _ADDRESS_WORDS)]
    addresses = (
        (IPv6Interface((address, head & _PREFIX_MASK)), head >> _PREFIX_BITS)
        for address, head in zip(packed, heads, strict=True)
    )
    memory = _Memory(first & 0xFFFF, tuple(addresses))
    return memory if program == _program(memory) else None


# Sysctls and IPv6 addresses


def _memory_of(requests: Requests, link: Link) -> _Memory:
    disabled = _read(_sysctl(link, _DISABLE_IPV6)) == "1"
    bits = (_WAS_UP if link.up else 0) | (_HAD_IPV6_DISABLED if disabled else 0)
    bits |= 0 if link.promiscuous else _ENDS_PROMISCUOUS
    bits |= 0 if tc.has_clsact(requests, link.index) else _MADE_CLSACT
    return _Memory(bits, () if disabled else _ipv6_addresses(requests, link))


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


def _ipv6_addresses(requests: Requests, link: Link) -> tuple[Given, ...]:
    """The IPv6 addresses that an interface was given, with their flags: disabling IPv6 takes them away."""
    operation = f"look at the addresses of {link.name}"
    wanted = rtnetlink.all_addresses(socket.AF_INET6)
    answers = requests.ask(operation, rtnetlink.RTM_GETADDR, wanted, rtnetlink.read_address, dump=True)
    given = [each for each in answers if each.interface_index == link.index and _is_given(each)]
    return tuple(
        (IPv6Interface((int(each.address), each.prefix_length)), each.flags & _IFA_F_GIVEN)
        for each in given[:_MAX_ADDRESSES]
    )


def _is_given(address: Address) -> bool:
    return bool(address.flags & rtnetlink.IFA_F_PERMANENT) and address.scope == rtnetlink.RT_SCOPE_UNIVERSE
