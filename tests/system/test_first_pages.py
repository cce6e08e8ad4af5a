"""The first pages of Faucet's and os-ken's documentation, with this switch where they have ovs-vswitchd.

Their command lines are typed as they are there: ovs-vsctl and ovs-ofctl without a word of where the switch is. Only
what they install, and what systemd starts, is started here instead.
"""

from __future__ import annotations

import re
import sys

import pytest

from lab import faucet
from lab.mininet import REPOSITORY, following, run_alone

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(360)]  # the first run installs Faucet

LEARNING_SWITCH = f"OSKEN_HUB_TYPE=eventlet {sys.executable} {REPOSITORY}/examples/learning_switch.py 6653"
# os-ken has no program to start an application any more; ours does it itself. The rest is the page's.
SWITCHING_HUB = f"""
cat > /run/first <<'END'
sh ovs-vsctl show
sh ovs-vsctl set Bridge s1 protocols=OpenFlow13
sh ovs-ofctl -O OpenFlow13 dump-flows s1
sh {LEARNING_SWITCH} >/run/controller.log 2>&1 &
sh until ovs-vsctl show | grep -q is_connected; do sleep 0.2; done; sleep 1
sh echo with the controller; ovs-ofctl -O OpenFlow13 dump-flows s1
h1 ping -c 3 h2 && touch /run/pinged
END
cat > /run/second <<'END'
sh echo after the ping; ovs-ofctl -O OpenFlow13 dump-flows s1
exit
END
type() {{  # Mininet gives what is typed during a ping to the host
    cat /run/first; until test -e /run/pinged; do sleep 0.2; done
    sleep 0.5; cat /run/second
}}
type | timeout 90 mn --topo single,3 --mac --switch ovsk --controller remote
"""


def test_os_kens_switching_hub_learns_behind_mininets_own_switch() -> None:
    said = run_alone(*following("bash", "-c", SWITCHING_HUB), timeout_s=100)

    before, with_controller, after = re.split("with the controller|after the ping", said)
    assert "Bridge s1" in before
    assert "actions=" not in before, "fail mode secure begins with an empty table"
    assert re.search(r"priority=0 actions=CONTROLLER:65535", with_controller)
    assert " 0% packet loss" in with_controller
    assert len(re.findall(r"in_port=.*dl_dst=00:00:00:00:00:0[12] actions=output:", after)) == 2


FIRST_TIME = """
vlans:
    office:
        vid: 100
    guest:
        vid: 200
dps:
    sw1:
        dp_id: 0x1
        hardware: "Open vSwitch"
        interfaces:
            1: {name: "host1", native_vlan: office}
            2: {name: "host2", native_vlan: office}
"""
TUTORIAL = """
export FAUCET_CONFIG=/run/faucet.yaml FAUCET_LOG=/run/faucet.log FAUCET_EXCEPTION_LOG=/run/faucet-exceptions.log
printf '%s' "$1" >/run/faucet.yaml
for number in 1 2; do
    ip netns add host$number
    ip link add veth-host$number type veth peer name veth0 netns host$number
    ip link set veth-host$number up
    ip -n host$number addr add 192.168.0.$number/24 dev veth0
    ip -n host$number link set veth0 up
done
"$2/check_faucet_config" /run/faucet.yaml >/run/checked || cat /run/checked
PATH="$2:$PATH" "$2/faucet" >/run/faucet.out 2>&1 &
faucet=$!
ovs-vsctl add-br br0 \
    -- set bridge br0 other-config:datapath-id=0000000000000001 \
    -- set bridge br0 other-config:disable-in-band=true \
    -- set bridge br0 fail_mode=secure \
    -- add-port br0 veth-host1 -- set interface veth-host1 ofport_request=1 \
    -- add-port br0 veth-host2 -- set interface veth-host2 ofport_request=2 \
    -- set-controller br0 tcp:127.0.0.1:6653 tcp:127.0.0.1:6654
reaches() { for _ in $(seq 60); do ip netns exec host1 ping -c 1 -W 1 192.168.0.2 && return; sleep 0.5; done; }
is_cut() { for _ in $(seq 60); do ip netns exec host1 ping -c 1 -W 1 192.168.0.2 || return 0; sleep 0.5; done; false; }
reaches > /dev/null && echo reached
ovs-ofctl -O OpenFlow13 dump-flows br0 | grep -c vlan_vid
sed -i '/2:/s/office/guest/' /run/faucet.yaml
kill -HUP $faucet
is_cut > /dev/null && echo cut
sed -i '/2:/s/guest/office/' /run/faucet.yaml
kill -HUP $faucet
reaches > /dev/null && echo reached again
kill $faucet
cat /run/faucet-exceptions.log
"""


def test_faucets_first_tutorial_pings_and_obeys_a_change_of_vlan() -> None:
    folder = faucet.environment("faucet") / "bin"

    said = run_alone(*following("bash", "-c", TUTORIAL, "bash", FIRST_TIME, str(folder)), timeout_s=150)

    assert re.fullmatch(r"(?s).*^reached\n[1-9]\d*\ncut\nreached again\n", said, re.MULTILINE), said
