"""What an interface carries of this machine's own: addresses and routes that are lost when it becomes a port."""

from __future__ import annotations

from inband.errors import UsageError
from inband.host import interfaces, moving
from inband.host.state import KernelState


def check_is_free(interface: str, bridge: str, kernel: KernelState) -> None:
    """Raise UsageError when an interface that is to be a port carries an address or the default route.

    Link-local addresses do not count: every interface has one. One that is a port of a switch already, alive or dead,
    does not either: what it carries has no effect there.
    """
    link = kernel.link_named(interface)
    if link is None or interfaces.made_of(interface) == "port":
        return
    found = [str(each.address) for each in kernel.addresses_of(link.index) if not each.address.is_link_local]
    if moving.has_default_route(link.index):
        found.append("the default route")
    if found:
        raise UsageError(
            f"{interface} carries {', '.join(sorted(found))}, which would be lost: `inband adopt {bridge} {interface}` "
            "makes it a port and moves them to the bridge, --force takes it as it is"
        )
