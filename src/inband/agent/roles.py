"""Roles of controllers, and who gets which asynchronous messages (OpenFlow 1.3.5, 6.3.4, 6.3.6, 7.3.9, 7.3.10)."""

from __future__ import annotations

from inband.agent.connection import Connection
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.openflow.messages import GetAsyncReply, GetAsyncRequest, RoleReply, RoleRequest, SetAsync
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, Role
from inband.vocabulary.openflow_errors import RoleRequestFailed

NO_GENERATION = 0xFFFFFFFFFFFFFFFF
"""generation_id of a reply before any master election (what Open vSwitch says then)."""


def change_role(switch: Switch, connection: Connection, request: RoleRequest, _: Instant) -> RoleReply:
    """Take a role. A new master makes the old one a slave; a stale election is refused."""
    if request.role in (Role.MASTER, Role.SLAVE) and connection.version != OFP10:
        _check_generation(switch, request.generation_id)
        switch.generation_id = request.generation_id
    if request.role is Role.MASTER:
        for other in switch.connections.values():
            if other.role is Role.MASTER:
                other.role = Role.SLAVE
    if request.role is not Role.NOCHANGE:
        connection.role = request.role
    generation = NO_GENERATION if switch.generation_id is None else switch.generation_id
    return RoleReply(connection.role, generation)


def _check_generation(switch: Switch, proposed: int) -> None:
    """Refuse an election older than the last one; ids wrap around, so the difference counts as signed (6.3.4)."""
    current = switch.generation_id
    if current is not None and (proposed - current) & 0xFFFFFFFFFFFFFFFF >= 1 << 63:
        raise RefusalError(RoleRequestFailed.STALE, f"generation {proposed} is older than {current}")


def get_async(_: Switch, connection: Connection, __: GetAsyncRequest, ___: Instant) -> GetAsyncReply:
    """Say which asynchronous messages the connection gets."""
    return GetAsyncReply(connection.masks)


def set_async(_: Switch, connection: Connection, request: SetAsync, __: Instant) -> None:
    """Choose them."""
    connection.masks = request.masks
    connection.has_asked_for_events = True
