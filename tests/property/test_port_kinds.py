"""What a table of ports notes as ports change one by one is what it notes when it looks at all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.mirrors import Mirror
from inband.pipeline.ports import PortTable, SwitchPort
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig
from inband.vocabulary.spanning_tree import StpState

CONFIGS = [PortConfig.NONE, PortConfig.PORT_DOWN, PortConfig.NO_RECV, PortConfig.NO_FWD, PortConfig.NO_FLOOD]
PORTS = st.builds(
    lambda number, config, tree: SwitchPort(number, f"p{number}", Mac(number), config=config, tree=tree),
    st.sampled_from([*(PortNo(number) for number in range(1, 6)), LOCAL]),
    st.sampled_from(CONFIGS),
    st.sampled_from(StpState),
)


def notes(table: PortTable) -> tuple[object, ...]:
    return list(table), table.flooded, table.outside_tree, table.closed, table.numbers


@given(st.lists(st.one_of(PORTS, st.integers(1, 5).map(PortNo))), st.booleans())
def test_ports_one_by_one_are_noted_as_all_at_once(changes: list[SwitchPort | PortNo], has_mirror: bool) -> None:
    mirrors = (Mirror("m", output=PortNo(2)),) if has_mirror else ()
    table = PortTable()
    table.set_mirrors(mirrors)

    for change in changes:
        if isinstance(change, SwitchPort):
            table.put(change)
        else:
            table.remove(change)

    noted = notes(table)
    table.set_mirrors(mirrors)  # which looks at all
    assert noted == notes(table)
    assert table.numbers == {port.number for port in table}
