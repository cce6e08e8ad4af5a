"""Which interfaces the kernel speaks of when traffic control changes, and how the setting is written."""

from __future__ import annotations

import asyncio
import struct

import pytest

from inband.errors import UsageError
from inband.host import codec
from inband.host.listener import Listener
from inband.host.netlink_socket import Trouble
from inband.runtime.config_keys import KEYS, parse_setting, with_values
from inband.runtime.peer_redirect import ChangedInterfaces
from inband.switch.config import BridgeConfig

NEW_QDISC, NEW_FILTER, DELETED_FILTER, NEW_ACTION = 36, 44, 45, 48
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3


def notification(kind: int, index: int, parent: int = EGRESS) -> bytes:
    """A message with a tcmsg (linux/rtnetlink.h)."""
    return codec.message(kind, 0, 0, struct.pack("=BxxxiIII", 0, index, 1, parent, 3))


def changed_interfaces(datagram: bytes) -> set[int | None]:
    """The interfaces that a datagram is about."""
    changed = ChangedInterfaces()
    loop = asyncio.new_event_loop()
    Listener(loop, Trouble(lambda: 0.0), changed.heard, changed.missed, lambda: None).take(datagram)
    loop.close()
    return changed.take()


def test_each_notification_names_an_interface() -> None:
    assert changed_interfaces(notification(NEW_QDISC, 7) + notification(NEW_FILTER, 8)) == {7, 8}
    assert changed_interfaces(b"") == set()


def test_a_filter_at_ingress_is_about_nothing_that_leaves() -> None:
    told = [notification(kind, 7, INGRESS) for kind in (NEW_FILTER, DELETED_FILTER)]

    assert changed_interfaces(b"".join(told)) == set()
    assert changed_interfaces(notification(NEW_QDISC, 7, INGRESS)) == {7}
    assert changed_interfaces(notification(DELETED_FILTER, 7)) == {7}


def test_what_names_none_may_be_about_any() -> None:
    assert None in changed_interfaces(notification(NEW_FILTER, -1))
    assert changed_interfaces(codec.message(NEW_ACTION, 0, 0, bytes(4))) == {None}
    assert changed_interfaces(notification(NEW_QDISC, 7)[:-1]) == {None}
    assert changed_interfaces(codec.message(NEW_QDISC, 0, 0, bytes(4))) == {None}


def test_an_action_is_no_interfaces_whatever_its_attributes_look_like() -> None:
    attributes = codec.attribute(1, codec.attribute(1, codec.text(1, "mirred")))

    assert changed_interfaces(codec.message(NEW_ACTION, 0, 0, bytes(4) + attributes)) == {None}


def test_it_is_on_unless_it_is_set_off() -> None:
    assert BridgeConfig("br0").peer_redirect
    assert not with_values(BridgeConfig("br0"), dict([parse_setting("peer-redirect=off")])).peer_redirect
    assert KEYS["peer-redirect"].read_toml(False) is False
    with pytest.raises(UsageError, match="on or off"):
        parse_setting("peer-redirect=perhaps")
