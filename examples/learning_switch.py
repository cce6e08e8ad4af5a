"""A learning switch on os-ken: `OSKEN_HUB_TYPE=eventlet python3 examples/learning_switch.py 6653`.

It needs `pip install os-ken eventlet`; `make setup` has installed both in `.venv`, whose `python` runs it then.

There is no osken-manager any more, so the script starts the application manager itself.
"""

from __future__ import annotations

import sys
from typing import Any

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_3


class Learning(app_manager.OSKenApp):  # type: ignore[misc]  # os-ken has no types
    """Learn source MACs from packets sent up; install a flow for each pair."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  (os-ken's own convention)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ports: dict[tuple[int, str], int] = {}

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)  # type: ignore[untyped-decorator]
    def switch_is_here(self, event: Any) -> None:
        """Install the table-miss flow: send up what nothing matches."""
        path = event.msg.datapath
        up = path.ofproto_parser.OFPActionOutput(path.ofproto.OFPP_CONTROLLER, path.ofproto.OFPCML_NO_BUFFER)
        self._add_flow(path, 0, path.ofproto_parser.OFPMatch(), [up])

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)  # type: ignore[untyped-decorator]
    def packet_came(self, event: Any) -> None:
        """Learn where it came from; send it where its destination is, or everywhere."""
        message = event.msg
        path, parser = message.datapath, message.datapath.ofproto_parser
        in_port = message.match["in_port"]
        frame = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        self._ports[path.id, frame.src] = in_port
        out_port = self._ports.get((path.id, frame.dst), path.ofproto.OFPP_FLOOD)
        actions = [parser.OFPActionOutput(out_port)]
        if out_port != path.ofproto.OFPP_FLOOD:
            match = parser.OFPMatch(in_port=in_port, eth_dst=frame.dst, eth_src=frame.src)
            self._add_flow(path, 1, match, actions)
        none = path.ofproto.OFP_NO_BUFFER
        path.send_msg(
            parser.OFPPacketOut(datapath=path, buffer_id=none, in_port=in_port, actions=actions, data=message.data)
        )

    def _add_flow(self, path: Any, priority: int, match: Any, actions: list[Any]) -> None:
        parser = path.ofproto_parser
        apply = parser.OFPInstructionActions(path.ofproto.OFPIT_APPLY_ACTIONS, actions)
        path.send_msg(parser.OFPFlowMod(datapath=path, priority=priority, match=match, instructions=[apply]))


if __name__ == "__main__":
    cfg.CONF(["--ofp-tcp-listen-port", sys.argv[1], "--ofp-listen-host", "0.0.0.0"], project="learning", version="1")
    app_manager.AppManager.run_apps(["os_ken.controller.ofp_handler", "__main__"])
