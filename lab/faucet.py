"""Faucet, a controller that runs in production networks, in both its forms: faucet and c65faucet.

Each lives in a virtual environment of its own below build/ (tools/venv makes it, once), because each wants a version of
its OpenFlow library that our environment does not have, and its `faucet` on PATH.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from lab.controllers import wait_listening
from lab.net import ROOT, Namespace, run
from lab.process import Process
from lab.topology import PORT

INSTALL_S = 300.0
"""Forty packages, when the environment is not there yet."""

CONFIG = """
vlans:
  office: {{vid: 100, faucet_mac: "0e:00:00:00:01:00", faucet_vips: ["10.0.1.254/24"]}}
  guest: {{vid: 200, faucet_mac: "0e:00:00:00:02:00", faucet_vips: ["10.0.2.254/24"]}}
routers:
  between: {{vlans: [office, guest]}}
acls:
  not-to-the-guest:
  - rule: {{eth_type: 0x0800, ip_proto: 1, ipv4_dst: 10.0.2.3/32, actions: {{allow: 0}}}}
  - rule: {{actions: {{allow: 1}}}}
dps:
  switch:
    dp_id: 0x{dpid}
    hardware: "{hardware}"
    interfaces:
      2: {{native_vlan: office}}
      3: {{native_vlan: office, acls_in: [not-to-the-guest]}}
      4: {{native_vlan: guest}}
      5: {{tagged_vlans: [office]}}
"""
"""Port 1 is where the controller itself is; Faucet is not told of it, so its policy there is to drop everything."""


_ONE_VLAN = """
dps:
  switch:
    dp_id: 0x{dpid}
    hardware: "{hardware}"
    interfaces:
      1: {{native_vlan: office}}
      2: {{native_vlan: office}}
      3: {{native_vlan: office}}
"""
SWITCHING = "vlans: {{office: {{vid: 100}}}}" + _ONE_VLAN
"""All ports in one VLAN, untagged, the gateway's too: Faucet learns hosts from what they ask."""
ANSWERING = (
    'vlans: {{office: {{vid: 100, faucet_mac: "0e:00:00:00:01:00", faucet_vips: ["10.0.0.253/24"]}}}}' + _ONE_VLAN
)
"""The same, and Faucet answers ARP for an address of its own; from other ARP it learns nothing then."""


def environment(name: str) -> Path:
    """Return the folder of a controller's virtual environment, made when it is not there."""
    return Path(run(str(ROOT / "tools" / "venv"), name, timeout_s=INSTALL_S).strip())


def start_faucet(namespace: Namespace, name: str, dpid: str, hardware: str, text: str = CONFIG) -> Process:
    """Start `faucet` or `c65faucet` with a configuration, listening; its log is in the laboratory's folder."""
    folder = namespace.lab.folder
    config = folder / "faucet.yaml"
    config.write_text(textwrap.dedent(text.format(dpid=dpid, hardware=hardware)))
    bin_folder = environment(name) / "bin"
    settings = {
        **os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "FAUCET_CONFIG": str(config),
        "FAUCET_LOG": str(folder / "faucet.log"), "FAUCET_EXCEPTION_LOG": str(folder / "faucet-exceptions.log"),
    }  # fmt: skip
    settings.pop("PYTHONPATH", None)
    process = namespace.start(
        str(bin_folder / "faucet"), "--ryu-ofp-tcp-listen-port", str(PORT), "--ryu-ofp-listen-host", "0.0.0.0",
        label=name, env=settings,
    )  # fmt: skip
    wait_listening(namespace, process, PORT)
    return process


def said(namespace: Namespace) -> str:
    """Return what Faucet logged, exceptions first, for a failing assertion."""
    logs = [namespace.lab.folder / name for name in ("faucet-exceptions.log", "faucet.log")]
    return "\n".join(each.read_text(errors="replace")[-3000:] for each in logs if each.exists())
