"""The port table."""

from __future__ import annotations

from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.ports import PortTable, SwitchPort
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig, PortState


def port(number: int, name: str = "eth0") -> SwitchPort:
    """A port."""
    return SwitchPort(PortNo(number), name, Mac(number & 0xFFFF))


def test_ports_come_in_the_order_of_their_numbers_with_local_last() -> None:
    ports = PortTable()
    for number in (LOCAL, 3, 1):
        ports.put(port(number))

    assert [each.number for each in ports] == [1, 3, LOCAL]
    assert len(ports) == 3


def test_only_real_changes_count_as_changes() -> None:
    ports = PortTable()

    changed = [
        ports.put(port(1)),
        ports.put(port(1)),
        ports.configure(PortNo(1), PortConfig.NO_FWD, PortConfig.NO_FWD | PortConfig.NO_RECV),
        ports.configure(PortNo(1), PortConfig.NO_FWD, PortConfig.NO_FWD),
        ports.set_state(PortNo(1), PortState.LINK_DOWN),
        ports.configure(PortNo(2), PortConfig.NO_FWD, PortConfig.NO_FWD),
    ]

    assert changed == [True, False, True, False, True, False]


def test_configuring_changes_the_masked_bits_only() -> None:
    ports = PortTable()
    ports.put(port(1))
    ports.configure(PortNo(1), PortConfig.NO_FWD, PortConfig.NO_FWD)

    ports.configure(PortNo(1), PortConfig.NO_RECV | PortConfig.PORT_DOWN, PortConfig.NO_RECV)

    found = ports.get(PortNo(1))
    assert found is not None
    assert found.config == PortConfig.NO_FWD | PortConfig.NO_RECV


def test_a_port_is_found_by_name_until_it_is_removed() -> None:
    ports = PortTable()
    ports.put(port(1, "veth7"))

    assert ports.by_name("veth7") == port(1, "veth7")
    assert ports.remove(PortNo(1)) == port(1, "veth7")
    assert ports.by_name("veth7") is None
    assert ports.remove(PortNo(1)) is None
