"""The document that ``inband show --json`` prints, as types: one stable shape, to which keys only get added.

The switch builds it, the commands and users' scripts read it. Times are seconds since 1970 (UTC), MAC addresses,
IP addresses and targets are text, a datapath id is 16 hexadecimal digits; what is not known is null.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class PortTreeDocument(TypedDict):
    """A port in the spanning tree. ``role`` and ``state`` are the standard's words, as "Root" and "Forwarding".

    ``neighbour`` is the bridge behind it that is nearer to the root, null where none is.
    """

    role: str
    state: str
    cost: int
    priority: int
    edge: bool
    protocol: str
    neighbour: str | None


class TreeDocument(TypedDict):
    """The spanning tree as a bridge knows it. ``root_port`` is the interface towards the root, null for the root."""

    bridge_id: str
    root_id: str
    root_cost: int
    root_port: str | None


class PortDocument(TypedDict):
    """A port. ``config`` holds the words that the controller set, as ``no-flood``.

    ``vlans`` are its VLANs as the configuration says them, null where it carries every one as it is; the same in parts:
    ``vlan_mode``, ``tag`` (the VLAN of an access port, or the native one) and ``trunks`` (empty: all).
    ``rstp`` is null where no spanning tree runs.
    """

    name: str
    number: int
    mac: str | None
    link_up: bool
    config: list[str]
    vlans: NotRequired[str | None]
    vlan_mode: NotRequired[str | None]
    tag: NotRequired[int | None]
    trunks: NotRequired[list[int]]
    rstp: NotRequired[PortTreeDocument | None]


class ControllerDocument(TypedDict):
    """A controller. ``since``: connected or lost then; ``version`` as "1.3"; ``next_try``: when it is dialled.

    ``address`` is the one it is connected to, ``advice`` why it is not connected and what to do about it.
    """

    target: str
    connected: bool
    role: str | None
    version: str | None
    since: float | None
    last_error: str | None
    last_error_at: NotRequired[float | None]
    in_band: bool
    next_try: NotRequired[float | None]
    address: NotRequired[str | None]
    family: NotRequired[str | None]
    advice: NotRequired[str | None]


class RemoteDocument(TypedDict):
    """A remote that in-band control protects. ``kinds``: "controller", "manager" or both; ``names``: its names.

    ``address`` may be a network (ADDRESS/LENGTH) of hosts that call. ``calls``: ``port`` is one of this switch.
    ``on_link``: a network whose hosts are their own next hops.
    ``by_port`` is the interface of the port that its next hop is behind, as far as that is known.
    """

    address: str
    port: int
    protocol: str
    kinds: list[str]
    next_hop: str | None
    next_hop_mac: str | None
    interface: str | None
    resolved_at: float | None
    calls: NotRequired[bool]
    on_link: NotRequired[bool]
    names: NotRequired[list[str]]
    by_port: NotRequired[str | None]
    advice: NotRequired[str | None]


class InBandDocument(TypedDict):
    """The state of in-band control. ``vlan``: that of control traffic, null for untagged."""

    enabled: bool
    local_mac: str | None
    queue: int | None
    vlan: NotRequired[int | None]
    hidden_flows: int
    remotes: list[RemoteDocument]


class BridgeDocument(TypedDict):
    """A bridge. ``notes`` are remarks for people, such as why another datapath was not taken.

    ``missing_ports`` wait for their interface. ``counters`` are all named events: upcalls by reason, verdicts, losses.
    ``rstp`` is null where no spanning tree runs. ``loops`` are interfaces that are joined outside the switch: pairs, or
    one that leads to itself.
    """

    name: str
    datapath: str
    datapath_id: str
    fail_mode: str
    forwarding: str
    ports: list[PortDocument]
    controllers: list[ControllerDocument]
    in_band: InBandDocument
    notes: NotRequired[list[str]]
    counters: NotRequired[dict[str, int]]
    missing_ports: NotRequired[list[str]]
    rstp: NotRequired[TreeDocument | None]
    loops: NotRequired[list[list[str]]]


class NamedAddressDocument(TypedDict):
    """An address of a name. ``server`` said so; ``current`` False: kept until a newer one has connected."""

    address: str
    family: str
    valid_until: float
    server: str | None
    current: bool
    in_use: bool


class NameDocument(TypedDict):
    """A name of a remote. ``problem``: what went wrong with the last question, if anything."""

    name: str
    addresses: list[NamedAddressDocument]
    problem: str | None
    next_question: float | None


class ServerDocument(TypedDict):
    """A DNS server. ``source``: who named it; ``ignored``: messages that were no answer to a question of ours."""

    address: str
    source: str
    answers: int
    unanswered: int
    ignored: int
    last_answer: float | None
    last_error: str | None


class FrontDocument(TypedDict):
    """A database that is followed. ``problem``: why it is not now; ``complaints``: what is wrong in it, in words."""

    remote: str
    followed: bool
    problem: str | None
    bridges: list[str]
    complaints: list[str]


class ShowDocument(TypedDict):
    """The whole. ``unconfirmed`` is the change that waits for `inband confirm`, in words."""

    version: NotRequired[str]
    unconfirmed: NotRequired[str | None]
    pid: NotRequired[int]
    bridges: list[BridgeDocument]
    managers: NotRequired[list[str]]
    names: NotRequired[list[NameDocument]]
    dns_servers: NotRequired[list[ServerDocument]]
    ovsdb: NotRequired[FrontDocument]
