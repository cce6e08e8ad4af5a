"""A configuration as a document: what is read back is what was written, whatever is in it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.runtime.changes import with_change
from inband.runtime.config_document import config_of, document_of
from inband.switch.config import SwitchConfig

SETTINGS = st.lists(
    st.sampled_from(
        [
            "fail-mode=secure",
            "address=192.0.2.1/24,2001:db8::1/64",
            "address=dhcp,dhcpv6",
            "address=192.0.2.1/24,dhcpv6",
            "gateway=192.0.2.254",
            "queue=7",
            "in-band=off",
            "datapath-id=1234",
            "mac=02:00:00:00:00:01",
            "inactivity-probe=500ms",
            "inactivity-probe=0",
            "max-backoff=2.5",
            "flow-limit=17",
            "rstp=on",
            "rstp-priority=4096",
            "peer-redirect=off",
            "openflow-version=1.0",
            "private-key=/etc/k",
            "certificate=/etc/c",
            "ca-cert=/etc/ca",
        ]
    ),
    unique_by=lambda text: text.split("=")[0],
)
TARGETS = ["tcp:192.0.2.1:6653", "tcp:[2001:db8::9]:6653,out-of-band", "ptcp:6653:0.0.0.0,allow=192.0.2.0/24"]


@given(
    given_settings=SETTINGS,
    ports=st.lists(
        st.sampled_from(
            ["eth1,trunks=10-19+30", "eth2=7,tag=10", "eth3=8,rstp-cost=5", "a=b,tag=3,rstp-priority=16,rstp-edge=on"]
        ),
        unique=True,
    ),
)
@settings(max_examples=100)
def test_what_is_written_is_read_back(given_settings: list[str], ports: list[str]) -> None:
    config = with_change(SwitchConfig(run_dir=Path("/run/x"), state_dir=Path("/s")), "add-bridge", ["br0"])
    if given_settings and not any(each.startswith("gateway") for each in given_settings):
        config = with_change(config, "set", ["br0", *given_settings])
    for port in ports:
        config = with_change(config, "add-port", ["br0", port])
    config = with_change(config, "set-controller", ["br0", *TARGETS])
    config = with_change(config, "set-manager", ["tcp:192.0.2.9:22", "tcp:m.example.net:22"])
    config = with_change(config, "set-dns-server", ["192.0.2.53", "fe80::1%br0"])

    assert config_of(document_of(config)) == config
