"""Numbers of the protocols in packets, as IANA and IEEE assign them. Each is defined here and nowhere else."""

from __future__ import annotations

# Ethernet types (IEEE 802 numbers).
ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
# For experiments within one network (IEEE 802, 9.2.4).
ETH_EXPERIMENT = 0x88B5
ETH_VLAN, ETH_QINQ, ETH_MPLS, ETH_MPLS_MC, ETH_PBB = 0x8100, 0x88A8, 0x8847, 0x8848, 0x88E7

# IP protocols.
IP_ICMP, IP_TCP, IP_UDP, IP_ICMPV6, IP_SCTP = 1, 6, 17, 58, 132

# Operations of ARP (RFC 826).
ARP_REQUEST, ARP_REPLY = 1, 2

# ICMP types (RFC 792) and ICMPv6 types (RFC 4443) of echo and of errors that name a packet.
ICMP_ECHO_REPLY, ICMP_UNREACHABLE, ICMP_ECHO_REQUEST = 0, 3, 8
ICMPV6_UNREACHABLE, ICMPV6_PACKET_TOO_BIG = 1, 2
ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY = 128, 129

# ICMPv6 types of neighbour discovery (RFC 4861, 4).
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT = 133, 134
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, REDIRECT = 135, 136, 137

# ICMPv6 types of multicast listener discovery: query, report and done of version 1 (RFC 2710, 3.1), report of
# version 2 (RFC 3810, 4).
LISTENER_QUERY, LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_2 = 130, 131, 132, 143

# UDP ports of DHCP (RFC 2131, 4.1) and DHCPv6 (RFC 8415, 7.2).
DHCP_SERVER, DHCP_CLIENT = 67, 68
DHCPV6_SERVER, DHCPV6_CLIENT = 547, 546

# The port of DNS, UDP and TCP (RFC 1035, 4.2).
DNS_PORT = 53

# The port of OpenFlow, TCP (OpenFlow 1.3.5, 6.3.1).
OPENFLOW_PORT = 6653
