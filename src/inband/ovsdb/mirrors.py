"""From rows of Mirror to what ports get copies of (ovs-vswitchd.conf.db(5), Mirror)."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from inband.ovsdb.rows import Row
from inband.vocabulary.mirroring import MirrorConfig


def mirror_of(
    row: Row, ports: Mapping[str, str], there: Container[str], blame: Callable[[str], None]
) -> MirrorConfig | None:
    """One mirror; None when it cannot be had, which ``blame`` hears.

    ``ports`` are names of the bridge's ports by their UUIDs, ``there`` the names of those that can be had.
    """
    name = row.text("name")
    output = ports.get(row.text("output_port"))
    if row.number("output_vlan") is not None:
        blame(f"mirror {name}: output_vlan is not supported: copies go to a port (output_port)")
    elif output is None or output not in there:
        blame(f"mirror {name}: it needs an output_port among the ports of this bridge")
    else:
        if row.number("snaplen") is not None:
            blame(f"mirror {name}: snaplen is without effect: copies are whole")
        sources, destinations = (
            None if row.flag("select_all") else frozenset(ports[uuid] for uuid in row.texts(column) if uuid in ports)
            for column in ("select_src_port", "select_dst_port")
        )
        return MirrorConfig(name, output, sources, destinations, frozenset(row.numbers("select_vlan")))
    return None
