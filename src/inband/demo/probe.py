"""What the demo needs of the system, tried in small: ``python -m inband.demo.probe``, in new namespaces.

Exit code 0, or 1 and what was refused as the last line of standard error.
"""

from __future__ import annotations

import contextlib
import sys

from inband.demo.nodes import Node, link
from inband.errors import HostError

# The userspace datapath's way to a port; in a Python of its own, as each switch of the demo is.
_PACKET_SOCKET = "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"


def main() -> int:
    """Join two nodes, and start in one of them what the demo will start; returns the exit code."""
    try:
        with contextlib.ExitStack() as nodes:
            one, two = (nodes.enter_context(contextlib.closing(Node(name))) for name in ("one", "two"))
            link(one, "eth0", two, "eth0")
            one.run(sys.executable, "-c", _PACKET_SOCKET)
            one.icmp_socket().close()
    except (HostError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
