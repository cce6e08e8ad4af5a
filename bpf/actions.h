/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Runs a megaflow's ops on a frame. The kernel's helpers do the delicate part: they make the frame writable (a copy
 * sent on before keeps its bytes) and know a checksum that was left to the card from a finished one.
 *
 * Offsets move when a tag goes into the frame or comes out of it, which the frame's length shows. An op on a header
 * that the frame does not have does nothing, as in inband/packet/edit.py.
 */
#ifndef INBAND_ACTIONS_H
#define INBAND_ACTIONS_H

#include <linux/if_packet.h>

#include "meter.h"
#include "stations.h"
#include "upcall.h"

#ifndef BPF_MTU_CHK_RET_SUCCESS
#define BPF_MTU_CHK_RET_SUCCESS 0
#endif

/* No link takes less (RFC 8200, 5): shorter frames need not be held against a port's MTU. */
#define SMALLEST_MTU 1280
#define ETHERNET_HEADER 14
#define TAG_SIZE 4

#define IPV4_CHECKSUM 10
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6
#define ICMPV6_CHECKSUM 2

#define IPV6_SOURCE 8
#define WORDS_OF_IPV6_ADDRESS 4
#define FLOW_LABEL_BITS 0xfffff

#define WORDS_OF_ETH_ADDRESSES 6 /* of 16 bits, of both */
#define FIRST_WORD_OF_SOURCE 3

#define ARP_OP 6
#define ARP_SHA 8
#define ARP_THA 18

/* Where the transport checksum is, or 0. */
static __always_inline __u32 checksum_at(const struct places *places)
{
	switch (places->transport) {
	case IP_TCP: return places->transport_at + TCP_CHECKSUM;
	case IP_UDP: return places->transport_at + UDP_CHECKSUM;
	case IP_ICMPV6: return places->transport_at + ICMPV6_CHECKSUM;
	}
	return 0;
}

/* A UDP checksum of 0 means that there is none, and must neither be made nor touched. */
static __always_inline __u64 checksum_flags(const struct places *places)
{
	return places->transport == IP_UDP ? BPF_F_MARK_MANGLED_0 : 0;
}

static __always_inline long set_ipv4_address(struct __sk_buff *skb, const struct places *places, __u32 offset,
					     __be32 address_be)
{
	__u32 at = places->ip_at + offset, sum_at = checksum_at(places);
	__be32 old_be;

	if (places->ip_version != 4)
		return 0;
	if (bpf_skb_load_bytes(skb, at, &old_be, 4) < 0)
		return -1;
	if (sum_at && bpf_l4_csum_replace(skb, sum_at, old_be, address_be,
					  BPF_F_PSEUDO_HDR | checksum_flags(places) | 4) < 0)
		return -1;
	if (bpf_l3_csum_replace(skb, places->ip_at + IPV4_CHECKSUM, old_be, address_be, 4) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, at, &address_be, 4, 0);
}

/* Change bits of the 16-bit word at `offset` of the IP header. */
static __always_inline long set_ip_word(struct __sk_buff *skb, const struct places *places, __u32 offset, __u16 bits,
					__u16 mask)
{
	__u32 at = places->ip_at + offset;
	__be16 old_be, new_be;

	if (bpf_skb_load_bytes(skb, at, &old_be, 2) < 0)
		return -1;
	new_be = (old_be & bpf_htons(~mask)) | bpf_htons(bits & mask);
	if (places->ip_version == 6)
		return bpf_skb_store_bytes(skb, at, &new_be, 2, BPF_F_RECOMPUTE_CSUM);
	if (bpf_l3_csum_replace(skb, places->ip_at + IPV4_CHECKSUM, old_be, new_be, 2) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, at, &new_be, 2, 0);
}

/* The kernel's sum of the whole frame, if a card made one, must see both changes: there is no checksum of the header. */
static __always_inline long set_ipv6_word(struct __sk_buff *skb, const struct places *places, __u32 index,
					  __be32 word_be)
{
	__u32 at = places->ip_at + IPV6_SOURCE + 4 * index, sum_at = checksum_at(places);
	__be32 old_be;

	if (places->ip_version != 6)
		return 0;
	if (bpf_skb_load_bytes(skb, at, &old_be, 4) < 0)
		return -1;
	if (sum_at && !(places->routed && index >= WORDS_OF_IPV6_ADDRESS) &&
	    bpf_l4_csum_replace(skb, sum_at, old_be, word_be, BPF_F_PSEUDO_HDR | checksum_flags(places) | 4) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, at, &word_be, 4, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline long set_ipv6_label(struct __sk_buff *skb, const struct places *places, __be32 label_be)
{
	__be32 word_be;

	if (places->ip_version != 6)
		return 0;
	if (bpf_skb_load_bytes(skb, places->ip_at, &word_be, 4) < 0)
		return -1;
	word_be = (word_be & bpf_htonl(~FLOW_LABEL_BITS)) | label_be;
	return bpf_skb_store_bytes(skb, places->ip_at, &word_be, 4, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline long set_eth_word(struct __sk_buff *skb, __u32 index, __u16 bits, __u16 mask)
{
	__be16 word_be;

	if (index >= WORDS_OF_ETH_ADDRESSES || bpf_skb_load_bytes(skb, 2 * index, &word_be, 2) < 0)
		return -1;
	word_be = (word_be & bpf_htons(~mask)) | bpf_htons(bits);
	return bpf_skb_store_bytes(skb, 2 * index, &word_be, 2, 0);
}

static __always_inline long set_arp(struct __sk_buff *skb, const struct places *places, const struct op *op)
{
	__u32 offset = op->arg8, size = offset == ARP_OP ? 2 : offset == ARP_SHA || offset == ARP_THA ? 6 : 4;

	if (!places->arp_at)
		return 0;
	return bpf_skb_store_bytes(skb, places->arp_at + offset, &op->arg16, size, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline long set_ttl(struct __sk_buff *skb, const struct places *places, __u8 ttl)
{
	if (places->ip_version == 4)
		return set_ip_word(skb, places, 8, ttl << 8, 0xff00);
	return places->ip_version == 6 ? set_ip_word(skb, places, 6, ttl, 0x00ff) : 0;
}

static __always_inline long decrement_ttl(struct __sk_buff *skb, const struct places *places)
{
	__u8 ttl;

	if (!places->ip_version)
		return 0;
	if (bpf_skb_load_bytes(skb, places->ip_at + (places->ip_version == 4 ? 8 : 7), &ttl, 1) < 0)
		return -1;
	return ttl ? set_ttl(skb, places, ttl - 1) : 0;
}

static __always_inline long set_tos(struct __sk_buff *skb, const struct places *places, __u8 bits, __u8 mask)
{
	if (places->ip_version == 4)
		return set_ip_word(skb, places, 0, bits, mask);
	return places->ip_version == 6 ? set_ip_word(skb, places, 0, bits << 4, mask << 4) : 0;
}

static __always_inline long set_transport_port(struct __sk_buff *skb, const struct places *places, __u8 proto,
					       __u32 offset, __be16 port_be)
{
	__u32 at = places->transport_at + offset;
	__be16 old_be;

	if (places->transport != proto)
		return 0;
	if (bpf_skb_load_bytes(skb, at, &old_be, 2) < 0)
		return -1;
	if (bpf_l4_csum_replace(skb, checksum_at(places), old_be, port_be, checksum_flags(places) | 2) < 0)
		return -1;
	return bpf_skb_store_bytes(skb, at, &port_be, 2, 0);
}

/* Tags are kept beside the frame by every kernel of today; one that is in it (a test's) is taken out first. */
static __always_inline long push_vlan(struct __sk_buff *skb, __u16 eth_type)
{
	__u16 tci = skb->vlan_present ? skb->vlan_tci & 0xefff : 0;
	return bpf_skb_vlan_push(skb, bpf_htons(eth_type), tci);
}

static __always_inline long set_vlan(struct __sk_buff *skb, __u16 bits, __u16 mask)
{
	if (!skb->vlan_present)
		return 0;
	__be16 proto_be = skb->vlan_proto;
	__u16 tci = (skb->vlan_tci & ~mask) | bits;
	if (bpf_skb_vlan_pop(skb) < 0)
		return -1;
	return bpf_skb_vlan_push(skb, proto_be, tci);
}

static __always_inline long pop_vlan(struct __sk_buff *skb)
{
	return skb->vlan_present ? bpf_skb_vlan_pop(skb) : 0;
}

static __always_inline long edit(struct __sk_buff *skb, struct places *places, const struct op *op)
{
	switch (op->kind) {
	case OP_SET_QUEUE:
		skb->priority = op->arg32;
		return 0;
	case OP_PUSH_VLAN:
		return push_vlan(skb, op->arg16);
	case OP_POP_VLAN:
		return pop_vlan(skb);
	case OP_SET_VLAN:
		return set_vlan(skb, op->arg16, op->arg32);
	case OP_SET_ETH_DST:
		return bpf_skb_store_bytes(skb, 0, &op->arg16, 6, 0);
	case OP_SET_ETH_SRC:
		return bpf_skb_store_bytes(skb, 6, &op->arg16, 6, 0);
	case OP_SET_IPV4_SRC:
		return set_ipv4_address(skb, places, 12, op->arg32);
	case OP_SET_IPV4_DST:
		return set_ipv4_address(skb, places, 16, op->arg32);
	case OP_SET_IP_TOS:
		return set_tos(skb, places, op->arg8, op->arg16);
	case OP_SET_IP_TTL:
		return set_ttl(skb, places, op->arg8);
	case OP_DEC_IP_TTL:
		return decrement_ttl(skb, places);
	case OP_SET_PORT_SRC:
		return set_transport_port(skb, places, op->arg8, 0, op->arg16);
	case OP_SET_PORT_DST:
		return set_transport_port(skb, places, op->arg8, 2, op->arg16);
	case OP_SET_IPV6_WORD:
		return set_ipv6_word(skb, places, op->arg8, op->arg32);
	case OP_SET_IPV6_LABEL:
		return set_ipv6_label(skb, places, op->arg32);
	case OP_SET_ARP:
		return set_arp(skb, places, op);
	case OP_SET_ETH_WORD:
		return set_eth_word(skb, op->arg8, op->arg16, op->arg32);
	}
	return -1;
}

static __always_inline long remark(struct __sk_buff *skb, const struct places *places, __u32 levels)
{
	__be16 word_be;

	if (!places->ip_version)
		return 0;
	if (bpf_skb_load_bytes(skb, places->ip_at, &word_be, 2) < 0)
		return -1;
	__u8 tos = bpf_ntohs(word_be) >> (places->ip_version == 4 ? 0 : 4);
	__u8 worse = worse_precedence(tos >> 2, levels);
	return worse == tos >> 2 ? 0 : set_tos(skb, places, worse << 2, 0xfc);
}

/* Hold the frame as it is now against a meter; whether its way ends here. */
static __always_inline int hold_against_meter(struct __sk_buff *skb, const struct packet *packet, const struct op *op)
{
	int answer = ask_meter(op->arg32, packet->segments, skb->len + (skb->vlan_present ? TAG_SIZE : 0));
	if (answer == METER_DROP) {
		count(VERDICT_DROPPED_BY_METER);
		return 1;
	}
	if (answer == METER_PASS || remark(skb, &packet->places, answer) >= 0)
		return 0;
	count(VERDICT_EDIT_REFUSED);
	return 1;
}

__noinline int run_meter(struct __sk_buff *skb, const struct packet *packet, const struct op *op)
{
	if (!packet || !op)
		return 1;
	return hold_against_meter(skb, packet, op);
}

__noinline int run_edit(struct __sk_buff *skb, struct packet *packet, const struct op *op)
{
	__u32 before = skb->len;

	if (!packet || !op)
		return 1;
	packet->keeps_port |= op->kind == OP_SET_QUEUE;
	long failed = edit(skb, &packet->places, op);
	__u32 moved = skb->len - before; /* by a tag that went into the frame or came out; may be "negative" */

	packet->places.ip_at += moved;
	packet->places.transport_at += moved;
	if (packet->places.arp_at)
		packet->places.arp_at += moved;
	return failed < 0;
}

/* Whether a port takes a frame of this length. Only a frame that is not cut later needs to be asked about. */
static __always_inline bool fits(struct __sk_buff *skb, __u32 ifindex)
{
	__u32 mtu = 0;

	if (skb->len <= SMALLEST_MTU + ETHERNET_HEADER || skb->gso_size)
		return true;
	/* A tag's four bytes are beside the MTU, as everywhere in Linux. */
	return bpf_check_mtu(skb, ifindex, &mtu, -TAG_SIZE, 0) == BPF_MTU_CHK_RET_SUCCESS;
}

static __always_inline void lose(struct port_stats *stats, __u32 verdict, __u32 segments)
{
	stats->tx_dropped += segments;
	count(verdict);
}

/* Whether the frame, as it is now, is for a host behind this port: its other end itself, or one that was learned there. */
static __always_inline bool is_for_host_behind(struct __sk_buff *skb, const struct port_out *port, __u32 slot)
{
	const __u8 *to = (void *)(long)skb->data;

	if ((void *)to + sizeof(port->peer_mac) > (void *)(long)skb->data_end || to[0] & GROUP_BIT)
		return false;
	if (is_address(to, port->peer_mac))
		return true;
	struct station_key key = station_key(to, skb->vlan_present ? bpf_htons(skb->vlan_tci) : 0);
	struct station *station = bpf_map_lookup_elem(&stations, &key);
	return station && station->slot == slot;
}

/*
 * Whether known unicast is handed to the port's peer (the other end of its veth pair) instead of the port. NORMAL knows
 * by itself; of an output that a flow names it is looked up, and only of one that is all that is done with the frame.
 *
 * The kernel goes on with it there in the same run, without a queue between: switches that send a frame in a circle
 * would hold the CPU for ever. So no frame is handed on twice in a row. One that was is PACKET_HOST when it gets here;
 * all others for a host behind another port are PACKET_OTHERHOST.
 */
static __always_inline bool goes_to_peer(struct __sk_buff *skb, const struct packet *packet,
					 const struct port_out *port, const struct op *op)
{
	if (!port->peer_allowed || skb->pkt_type == PACKET_HOST)
		return false;
	return op->kind == OP_OUTPUT_UNICAST || (!packet->keeps_port && is_for_host_behind(skb, port, op->arg16));
}

static __always_inline int redirect(struct __sk_buff *skb, const struct packet *packet, const struct port_out *port,
				    const struct op *op)
{
	if (!goes_to_peer(skb, packet, port, op))
		return bpf_redirect(port->ifindex, 0);
	/* The host would not take a frame for others; kernels before 6.16 do not say so by themselves. */
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(port->ifindex, 0);
}

/* Send the frame, or a copy of it, out of a port; the program's return value for the last. */
static __always_inline int output(struct __sk_buff *skb, struct packet *packet, const struct op *op, bool is_last)
{
	__u32 slot = op->arg16;
	struct port_out *port = bpf_map_lookup_elem(&ports_out, &slot);
	struct port_stats *stats = bpf_map_lookup_elem(&port_stats, &slot);

	packet->keeps_port |= !is_last;
	if (!port || !stats || !port->ifindex) {
		count(VERDICT_OUTPUT_NO_PORT);
		return TC_ACT_SHOT;
	}
	if (!fits(skb, port->ifindex)) {
		lose(stats, VERDICT_TX_TOO_BIG, packet->segments);
		return TC_ACT_SHOT;
	}
	__u32 bytes = skb->len + (skb->vlan_present ? TAG_SIZE : 0);
	if (!is_last && bpf_clone_redirect(skb, port->ifindex, 0)) {
		lose(stats, VERDICT_TX_REFUSED, packet->segments);
		return TC_ACT_SHOT;
	}
	stats->tx_packets += packet->segments;
	stats->tx_bytes += bytes;
	return is_last ? redirect(skb, packet, port, op) : TC_ACT_SHOT;
}

__noinline int run_output(struct __sk_buff *skb, struct packet *packet, const struct op *op, int is_last)
{
	if (!packet || !op)
		return TC_ACT_SHOT;
	return output(skb, packet, op, is_last);
}

static __always_inline bool is_output(const struct op *op)
{
	return op->kind == OP_OUTPUT || op->kind == OP_OUTPUT_UNICAST;
}

#define OPS_GO_ON -1

/*
 * One of the ops: the program's return value where the last one is done or the packet has gone, else OPS_GO_ON. Apart
 * from the loop, for the kernel's verifier reads a loop's body once for each turn, and a function once.
 */
__noinline int run_op(struct __sk_buff *skb, struct packet *packet, const struct flow_entry *entry, __u32 at)
{
	if (!packet || !entry || at >= MAX_OPS)
		return TC_ACT_SHOT;
	const struct op *op = &entry->ops[at];
	bool is_last = at + 1 == entry->op_count;

	if (is_output(op)) {
		int result = output(skb, packet, op, is_last);
		return is_last ? result : OPS_GO_ON;
	}
	if (op->kind == OP_METER)
		return run_meter(skb, packet, op) ? TC_ACT_SHOT : OPS_GO_ON;
	if (run_edit(skb, packet, op)) {
		count(VERDICT_EDIT_REFUSED);
		return TC_ACT_SHOT;
	}
	return OPS_GO_ON;
}

/* The ops but for so many at the beginning. */
__noinline int run_ops(struct __sk_buff *skb, struct packet *packet, const struct flow_entry *entry, __u32 done)
{
	if (!packet || !entry)
		return TC_ACT_SHOT;
	__u32 op_count = entry->op_count;

	for (__u32 i = 0; i < MAX_OPS && done + i < op_count; i++) {
		int result = run_op(skb, packet, entry, done + i);
		if (result != OPS_GO_ON)
			return result;
	}
	return TC_ACT_SHOT;
}

/* Whether a tag less and one output are all of the ops from here on. */
static __always_inline bool only_pops(const struct flow_entry *entry, __u32 first)
{
	return entry->op_count == first + 2 && entry->ops[first].kind == OP_POP_VLAN && is_output(&entry->ops[first + 1]);
}

/*
 * The ops of an entry; the frame is gone afterwards: sent, dropped, or copied to the switch. What most entries say, one
 * output, behind a meter or with a tag less perhaps, is done here: each call costs as much as the output itself where
 * returns are guarded against speculation. What follows the meter is looked at behind it, so that less is on the stack.
 */
static __always_inline int run(struct __sk_buff *skb, struct packet *packet, const struct flow_entry *entry)
{
	if (!entry->op_count) {
		count(VERDICT_DROPPED_BY_FLOW);
		return TC_ACT_SHOT;
	}
	__u32 is_metered = entry->ops[0].kind == OP_METER;
	if (is_metered && hold_against_meter(skb, packet, &entry->ops[0]))
		return TC_ACT_SHOT;
	bool pops = only_pops(entry, is_metered);
	const struct op *op = &entry->ops[is_metered + pops];

	if (pops && pop_vlan(skb) < 0) {
		count(VERDICT_EDIT_REFUSED);
		return TC_ACT_SHOT;
	}
	if (entry->op_count == 1 + is_metered + pops && is_output(op))
		return output(skb, packet, op, true);
	if (op->kind == OP_SEND_UP) {
		count(VERDICT_SLOW_ACTION);
		send_up(skb, packet, is_metered ? UPCALL_METERED_ACTION : UPCALL_SLOW_ACTION);
		return TC_ACT_SHOT;
	}
	return run_ops(skb, packet, entry, is_metered);
}

#endif
