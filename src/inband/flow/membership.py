"""Which VLANs a port is a member of, and how their frames arrive and leave there (IEEE 802.1Q, 8.6).

The words are those of Open vSwitch's columns ``tag``, ``trunks`` and ``vlan_mode`` (ovs-vswitchd.conf.db(5), "VLAN
configuration"), and so is what they do.

A VLAN is a number; 0 is that of frames in no VLAN: without a tag, or with one that carries a priority only. A port
without a membership carries every VLAN as it is, and has no value of this type.

Pure: what a switch does with a frame that has no business on a port is the pipeline's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from inband.errors import UsageError

# What the columns take. 802.1Q reserves 4095, and Open vSwitch lets it be.
MAX_TAG = 4095


class VlanMode(StrEnum):
    """How a port has its VLANs."""

    ACCESS = "access"  # one VLAN, without a tag
    TRUNK = "trunk"  # VLANs with their tags
    NATIVE_TAGGED = "native-tagged"  # a trunk on which what arrives untagged is in the native VLAN
    NATIVE_UNTAGGED = "native-untagged"  # likewise, and the native VLAN leaves without a tag


@dataclass(frozen=True, slots=True)
class VlanMembership:
    """A port's VLANs. ``tag`` is the access port's VLAN or the native one, None on a trunk; no ``trunks``: all VLANs.

    Raises UsageError for numbers and combinations that mean nothing.
    """

    mode: VlanMode
    tag: int | None = None
    trunks: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for number in sorted(self.trunks | ({self.tag} if self.tag is not None else set())):
            if not 0 <= number <= MAX_TAG:
                raise UsageError(f"VLAN {number} is not allowed: 0 to {MAX_TAG}")
        if self.mode is VlanMode.TRUNK and self.tag is not None:
            raise UsageError("a trunk has no tag of its own: write vlan-mode=native-untagged, or leave tag away")
        if self.mode is not VlanMode.TRUNK and self.tag is None:
            raise UsageError(f"vlan-mode={self.mode.value} needs a tag: the VLAN of what arrives untagged")
        if self.mode is VlanMode.ACCESS and self.trunks:
            raise UsageError("an access port has one VLAN: leave trunks away, or write vlan-mode=native-untagged")

    def vlan_of(self, vid: int) -> int | None:
        """The VLAN of a frame that arrives with this VLAN id (0: untagged, or a priority alone); None: it is dropped.

        An access port takes nothing that is tagged, with its own VLAN neither; a native VLAN may be tagged as well.
        """
        if vid == 0 and self.tag is not None:
            return self.tag
        return vid if self.mode is not VlanMode.ACCESS and self.carries(vid) else None

    def why_dropped(self, vid: int) -> str:
        """Why ``vlan_of`` gave None, to go on after the port's name."""
        if self.mode is VlanMode.ACCESS:
            return f"is an access port of VLAN {self.tag}, and takes no frame that is tagged (with {vid})"
        return f"carries VLANs {format_vlans(self.trunks)}, and {vid or 'untagged'} is not among them"

    def carries(self, vlan: int) -> bool:
        """Whether frames of a VLAN may leave here. On a port with a native VLAN no frame is in VLAN 0."""
        if vlan == self.tag:
            return True
        if self.mode is VlanMode.ACCESS or (vlan == 0 and self.tag is not None):
            return False
        return not self.trunks or vlan in self.trunks

    def leaves_tagged(self, vlan: int) -> bool:
        """Whether a frame of a VLAN that the port carries leaves with its tag."""
        return vlan != 0 and (vlan != self.tag or self.mode is VlanMode.NATIVE_TAGGED)

    def __str__(self) -> str:
        """As the configuration says it: ``tag=1,trunks=10+20-29,vlan-mode=native-untagged``."""
        words = [] if self.tag is None else [f"tag={self.tag}"]
        words += [f"trunks={format_vlans(self.trunks)}"] if self.trunks else []
        if self.mode is not (VlanMode.TRUNK if self.tag is None else VlanMode.ACCESS) or not words:
            words.append(f"vlan-mode={self.mode.value}")
        return ",".join(words)


def format_vlans(vlans: frozenset[int]) -> str:
    """VLANs as ``10-19+30``."""
    runs: list[list[int]] = []
    for vlan in sorted(vlans):
        if runs and vlan == runs[-1][1] + 1:
            runs[-1][1] = vlan
        else:
            runs.append([vlan, vlan])
    return "+".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


MEMBERSHIP_WORDS = {"tag": "VLAN", "trunks": "VLANS", "vlan-mode": "MODE"}


def parse_membership(given: Mapping[str, str]) -> VlanMembership | None:
    """Read ``{"tag": "10"}`` or ``{"trunks": "10-19+30"}``, perhaps with ``vlan-mode``; None for no word.

    Raises UsageError.
    """
    if not given:
        return None
    tag = _number(given["tag"]) if "tag" in given else None
    trunks = _vlans(given["trunks"]) if "trunks" in given else frozenset[int]()
    usual = VlanMode.TRUNK if tag is None else VlanMode.ACCESS
    return VlanMembership(_mode(given["vlan-mode"]) if "vlan-mode" in given else usual, tag, trunks)


def _mode(text: str) -> VlanMode:
    try:
        return VlanMode(text)
    except ValueError:
        raise UsageError(f"vlan-mode {text!r} is not allowed: {', '.join(mode.value for mode in VlanMode)}") from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= MAX_TAG):
        raise UsageError(f"VLAN {text!r} is not allowed: 0 to {MAX_TAG}")
    return int(text)


def _vlans(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split("+"):
        low, dash, high = part.partition("-")
        first, last = _number(low), _number(high if dash else low)
        if first > last:
            raise UsageError(f"trunks {part!r} is not allowed: the lower VLAN comes first")
        found.update(range(first, last + 1))
    return frozenset(found)
