"""What people get wrong with Open vSwitch's tools, on our switch and on Open vSwitch: exit codes and words, compared.

    python -m tests.conformance.ovs_mistakes

As ``ovs_tools``, whose beds and comparison these are. Of a row of a database the mistake shows in a column, so a line
that asks for it follows. The table goes to conformance/ovs_mistakes.txt.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests.conformance.ovs_tools import FOLDER, Lines, main

OFCTL = """\
show br9
add-flow br9 actions=drop
add-flow br0 in_port=p9,actions=drop
add-flow br0 actions=output:p9
add-flow br0 actions=output:99
add-flow br0 in_port=99,actions=drop
add-flow br0 priority=70000,actions=drop
add-flow br0 priority=5
add-flow br0 tcp,tp_dst=99999,actions=drop
add-flow br0 tp_dst=80,actions=drop
add-flow br0 ip,nw_dst=10.0.0.300,actions=drop
add-flow br0 dl_dst=00:11:22:33:44,actions=drop
add-flow br0 dl_vlan=5000,actions=drop
add-flow br0 actions=mod_vlan_vid:5000
add-flow br0 actions=push_vlan:0x1234
add-flow br0 table=255,actions=drop
add-flow br0 table=300,actions=drop
add-flow br0 table=5,actions=goto_table:5
add-flow br0 table=5,actions=goto_table:3
add-flow br0 actions=group:7
add-flow br0 actions=meter:9,NORMAL
add-flow br0 actions=resubmit(,300)
add-flow br0 actions=fly
add-flow br0 idle_timeout=-1,actions=drop
add-flow br0 cookie=xyz,actions=drop
add-flow br0 check_overlap,priority=40,ip,actions=drop
add-flow br0 check_overlap,priority=40,tcp,actions=drop
add-flow br0 actions=set_field:10.0.0.1->ip_dst
add-flow br0 ip,actions=set_field:10.0.0.1->nosuchfield
mod-flows br0 table=300,actions=drop
del-flows br0 priority=5
del-flows br0 --strict
dump-groups br0 9
mod-port br0 p9 down
mod-port br0 p1 sideways
add-group br0 group_id=1,type=fancy,bucket=output:1
add-group br0 group_id=1,type=all,bucket=output:99
add-group br0 group_id=2,type=indirect,bucket=output:1,bucket=output:2
add-group br0 group_id=3,type=all,bucket=output:1
add-group br0 group_id=3,type=all,bucket=output:1
mod-group br0 group_id=9,type=all,bucket=output:1
add-group br0 group_id=4,type=all,bucket=group:5
add-group br0 group_id=4,type=ff,bucket=output:1
add-meter br0 meter=1,kbps,band=type=drop
add-meter br0 meter=0,kbps,band=type=drop,rate=1
mod-meter br0 meter=8,kbps,band=type=drop,rate=1
packet-out br0 in_port=99,packet=ffffffffffff02000000000188b5,actions=output:1
packet-out br0 in_port=p1,packet=ff,actions=output:1
packet-out br0 in_port=p1,packet=xx,actions=output:1
dump-ports br0 p9
dump-ports br0 99
queue-stats br0 p1 9
queue-get-config br0 p9
dump-flows br0 nonsense
set-frags br0 often
frobnicate br0
del-flows br0
add-flow br0 actions=NORMAL"""

APPCTL = """\
ofproto/trace
ofproto/trace br9 in_port=1
ofproto/trace br0 in_port=p9
ofproto/trace br0 in_port=99
ofproto/trace br0 nonsense=1
ofproto/trace br0 tp_dst=80
ofproto/trace br0 in_port=1,dl_vlan=5000
fdb/show
fdb/flush br9
fdb/stats-show br9
fdb/add br0 p9 0 02:00:00:00:00:01
bridge/dump-flows
bridge/dump-flows br9
bridge/reconnect br9
dpif/dump-flows br9
dpif/show br9
dpctl/dump-flows nosuch@dp
dpctl/show nosuch@dp
qos/show p9
qos/show
rstp/show br9
bond/show bond9
bond/set-active-slave bond9 p1
vlog/set loud
vlog/set ANY:file:loud
vlog/set a b:c:d:e
mdb/show br9
ofproto/show br0
version now
list-commands --all
lacp/show p1
stp/show br9"""

VSCTL = """\
add-br br0 -- set bridge br0 datapath_type=KIND
add-br br0
add-br aVeryLongBridgeName
--may-exist add-br br0
add-port br9 p1
add-port br0 p1
add-port br0 p1 --
add-br br1 -- set bridge br1 datapath_type=KIND
add-port br1 p1
--may-exist add-port br1 p1
add-port br0 p2 tag=5000
add-port br0 p2 tag=ten
add-port br0 p2 colour=red
add-port br0 p2 -- set interface p2 ofport_request=70000
add-port br0 p2 -- set interface p2 type=warp
--columns=name,ofport,error list interface p2
set interface p2 type=system
get interface p2 ofport error
set interface p2 ofport_request=1
get interface p2 ofport error
set interface p2 mtu_request=9999999
get interface p2 mtu error
set port p2 vlan_mode=sideways
set port p2 trunks=5000
set bridge br0 fail_mode=open
set-fail-mode br0 open
set bridge br0 datapath_type=fast
get bridge br0 datapath_type status
set bridge br0 datapath_type=KIND
set bridge br0 protocols=OpenFlow99
set bridge br0 other_config:datapath-id=xyz
get bridge br0 datapath_id
set bridge br0 colour=red
set-controller br0 192.0.2.1
--columns=target,is_connected,status list controller
set-controller br0 tcp:192.0.2.1:99999
--columns=target,is_connected,status list controller
set-controller br0 udp:192.0.2.1
--columns=target,is_connected,status list controller
set-controller br9 tcp:192.0.2.1
set-manager 192.0.2.1
del-manager
set-ssl /nokey /nocert /noca
del-ssl
del-br br9
del-port br1 p2
del-port p9
list-ports br9
port-to-br p9
iface-to-br p9
get interface p9 ofport
get interface p2 colour
list nosuchtable
set port p1 qos=@q
add-port br0 gre0 -- set interface gre0 type=gre
get interface gre0 error
add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=nowhere.invalid
get interface vx0 error
add-bond br0 bond0 p1 p2
add-bond br0 bond1 p2
frobnicate br0"""

_IN_WORDS = "ours says in words what is wrong and what may be written"
_NOT_HERE = "ours has no such verb, and names one that is near it, if any"
_WRITTEN = "ours writes what is wrong into the column; Open vSwitch leaves it empty"
REASONS: Mapping[str, str] = {
    "ovs-ofctl add-group br0 group_id=4,type=all,bucket=group:5": "a bucket's group must be there, as one that a flow "
    "names must, with both; Open vSwitch takes the bucket and drops what comes by it",
    "ovs-ofctl dump-ports br0 99": "ours says that there is no such port; Open vSwitch shows none",
    "ovs-appctl ofproto/trace br0 in_port=p9": _IN_WORDS,
    "ovs-appctl ofproto/trace br0 in_port=99": "ours says which ports there are; Open vSwitch traces to a drop",
    "ovs-appctl ofproto/trace br0 nonsense=1": _IN_WORDS,
    "ovs-appctl ofproto/trace br0 tp_dst=80": _IN_WORDS,
    "ovs-appctl ofproto/trace br0 in_port=1,dl_vlan=5000": "ours refuses the tag; Open vSwitch traces VLAN 904",
    "ovs-appctl fdb/add br0 p9 0 02:00:00:00:00:01": _NOT_HERE,
    "ovs-appctl bridge/dump-flows br9": "ours says which bridges there are",
    "ovs-appctl dpctl/dump-flows nosuch@dp": "ours says which bridges there are",
    "ovs-appctl dpctl/show nosuch@dp": "ours says which bridges there are",
    "ovs-appctl rstp/show br9": "ours says which bridges there are",
    "ovs-appctl bond/set-active-slave bond9 p1": _NOT_HERE,
    "ovs-appctl vlog/set ANY:file:loud": _IN_WORDS,
    "ovs-appctl mdb/show br9": _NOT_HERE,
    "ovs-appctl lacp/show p1": _NOT_HERE,
    "ovs-appctl stp/show br9": _NOT_HERE,
    "ovs-vsctl add-port br0 p2 -- set interface p2 type=warp": _IN_WORDS,
    "ovs-vsctl --columns=name,ofport,error list interface p2": _IN_WORDS,
    "ovs-vsctl get interface p2 mtu error": _WRITTEN,
    "ovs-vsctl get bridge br0 datapath_type status": _WRITTEN,
    "ovs-vsctl --columns=target,is_connected,status list controller": _WRITTEN,
    "ovs-vsctl add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=nowhere.invalid": _IN_WORDS,
    "ovs-vsctl get interface vx0 error": _IN_WORDS,
}

MISTAKES = Lines(OFCTL, APPCTL, VSCTL, REASONS, FOLDER / "ovs_mistakes.txt")

if __name__ == "__main__":
    sys.exit(main(MISTAKES))
