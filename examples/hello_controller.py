"""The smallest controller on os-ken: `OSKEN_HUB_TYPE=eventlet python3 examples/hello_controller.py 6653`.

It needs `pip install os-ken eventlet`; `make setup` has installed both in `.venv`, whose `python` runs it then.

It greets each switch, and tells it to forward as a learning switch does (NORMAL). Change the flow, and see what
happens.
"""

import sys

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3


class Hello(app_manager.OSKenApp):
    """Installs one flow in each switch."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  (os-ken's own convention)

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def switch_is_here(self, event):
        """Called when a switch has said which one it is."""
        switch = event.msg.datapath
        print(f"hello, switch {switch.id:016x}", flush=True)
        openflow, parser = switch.ofproto, switch.ofproto_parser
        forward = [parser.OFPActionOutput(openflow.OFPP_NORMAL)]
        instructions = [parser.OFPInstructionActions(openflow.OFPIT_APPLY_ACTIONS, forward)]
        everything = parser.OFPMatch()
        switch.send_msg(parser.OFPFlowMod(datapath=switch, priority=1, match=everything, instructions=instructions))


if __name__ == "__main__":
    cfg.CONF(["--ofp-tcp-listen-port", sys.argv[1], "--ofp-listen-host", "0.0.0.0"], project="hello", version="1")
    app_manager.AppManager.run_apps(["os_ken.controller.ofp_handler", "__main__"])
