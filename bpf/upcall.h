/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * A frame goes up to the switch, whole, by one of two rings: a flood of data without entries must not push out of the
 * ring what keeps the control channel alive. Which ring is all that is decided here; wrongly sorted is only queued
 * wrongly (inband/datapath/userspace_filter.py sorts by the same rules).
 */
#ifndef INBAND_UPCALL_H
#define INBAND_UPCALL_H

#include "maps.h"
#include "parse.h"

static __always_inline bool is_control_port(__be16 port_be)
{
	__u32 port = bpf_ntohs(port_be), word = port / 64;
	__u64 *bits = bpf_map_lookup_elem(&control_ports, &word);
	return bits && *bits >> (port & 63) & 1;
}

static __always_inline bool is_control_udp(__be16 port_be)
{
	__u16 port = bpf_ntohs(port_be);
	return port == 53 || port == 67 || port == 68 || port == 546 || port == 547 || is_control_port(port_be);
}

/* ARP, and router and neighbour discovery. */
static __always_inline bool is_discovery(const struct flow_key *key)
{
	__u16 eth_type = bpf_ntohs(key->eth_type_be);

	return eth_type == ETH_ARP || (eth_type == ETH_IPV6 && key->ip_proto == IP_ICMPV6 && key->icmp.type >= 133 &&
				       key->icmp.type <= 137);
}

#define PORT_LOCAL 0xfffffffeU /* OFPP_LOCAL */
#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

/* 01:80:c2:00:00:00 to 0f: bridges keep them to the link they came on (IEEE 802.1Q, 8.6.3). */
static __always_inline bool is_link_local(const struct flow_key *key)
{
	const __u8 *to = key->eth_dst;

	return to[0] == 0x01 && to[1] == 0x80 && to[2] == 0xc2 && to[3] == 0 && to[4] == 0 && to[5] <= 0x0f;
}

/*
 * Whether a packet keeps the pace of its kind and port, with so much ahead of it as a burst may be (GCRA). `due` is
 * when the last one would have come, had all kept it. Two CPUs may write at once; then one packet more passes. What
 * LOCAL sends is this host's own.
 */
static __always_inline bool keeps_pace(const struct packet *packet, __u64 *due, __u32 per_s, __u32 burst_ms)
{
	__u64 now = bpf_ktime_get_ns();

	if (!due || bpf_ntohl(packet->key.in_port_be) == PORT_LOCAL)
		return true;
	__u64 at = *due > now ? *due : now;
	if (at - now > burst_ms * NS_PER_MS)
		return false;
	*due = at + NS_PER_S / per_s;
	return true;
}

static __always_inline bool is_flood_of_discovery(const struct packet *packet)
{
	__u32 slot = packet->port_slot;
	__u64 *due = bpf_map_lookup_elem(&discovery_pace, &slot);

	return is_discovery(&packet->key) && !keeps_pace(packet, due, DISCOVERY_PER_S, DISCOVERY_BURST_MS);
}

static __always_inline bool is_flood_on_link(const struct packet *packet)
{
	__u32 slot = packet->port_slot;
	__u64 *due = bpf_map_lookup_elem(&link_local_pace, &slot);

	return is_link_local(&packet->key) && !keeps_pace(packet, due, LINK_LOCAL_PER_S, LINK_LOCAL_BURST_MS);
}

/* What stays on its link, discovery, DHCP and DNS, and TCP and UDP with protected ports. */
static __always_inline bool is_control(const struct flow_key *key)
{
	__u16 eth_type = bpf_ntohs(key->eth_type_be);

	if (is_link_local(key) || is_discovery(key))
		return true;
	if (eth_type != ETH_IPV4 && eth_type != ETH_IPV6)
		return false;
	if (key->ip_proto == IP_UDP)
		return is_control_udp(key->transport.src_be) || is_control_udp(key->transport.dst_be);
	if (key->ip_proto == IP_TCP)
		return is_control_port(key->transport.src_be) || is_control_port(key->transport.dst_be);
	return false;
}

/* Of control frames with ports: the others have paces of their own. */
static __always_inline bool is_flood_of_control(const struct packet *packet)
{
	__u32 slot = packet->port_slot;
	__u64 *due = bpf_map_lookup_elem(&control_pace, &slot);
	__u32 zero = 0;
	struct config *now = bpf_map_lookup_elem(&config, &zero);
	__u32 per_s = now && now->control_per_s ? now->control_per_s : CONTROL_PER_S;

	return is_control(&packet->key) && !is_discovery(&packet->key) && !is_link_local(&packet->key) &&
	       !keeps_pace(packet, due, per_s, CONTROL_BURST_MS);
}

/*
 * Whether the checksum was left to the card (CHECKSUM_PARTIAL). The kernel does not tell a program, but a helper that
 * updates a checksum for a change outside of the pseudo-header does nothing then, and else changes the two bytes.
 */
static __always_inline bool is_left_to_card(struct __sk_buff *skb)
{
	__u16 before, after;

	return bpf_skb_load_bytes(skb, ETH_ADDRESSES, &before, 2) == 0 &&
	       bpf_l4_csum_replace(skb, ETH_ADDRESSES, 0, 1, 2) == 0 &&
	       bpf_skb_load_bytes(skb, ETH_ADDRESSES, &after, 2) == 0 && before == after;
}

/* Where the transport header's checksum is, if there is such a header: nearly always that is the one left to the card. */
static __always_inline __u32 likely_checksum_at(const struct places *places)
{
	switch (places->transport) {
	case IP_TCP: return places->transport_at + 16;
	case IP_UDP: return places->transport_at + 6;
	case IP_SCTP: return places->transport_at + 8;
	}
	return 0;
}

/* A frame's length, and the longest known to which the kernel does not cut it. */
struct lengths {
	__u32 refused, cut;
};

/* Cut half of what is between; 0: nothing is. Apart from the loop, which the kernel's verifier follows both ways. */
__noinline int halve(struct __sk_buff *skb, struct lengths *lengths)
{
	if (!lengths || lengths->refused + 1 >= lengths->cut)
		return 0;
	__u32 length = (lengths->refused + lengths->cut) / 2;
	if (bpf_skb_change_tail(skb, length, 0))
		lengths->refused = length;
	else
		lengths->cut = length;
	return 1;
}

/*
 * Where the checksum is that was left to the card, or 0. The kernel cuts no frame before the end of that field (Linux 6.1
 * of Debian 12: before the transport header, which inband/datapath/ebpf/offload.py knows): so it shows where the field
 * is. Only for a frame that is copied already and will be dropped: what is left of it is rubbish.
 */
__noinline int find_checksum_left(struct __sk_buff *skb, const struct packet *packet)
{
	if (!packet || !is_left_to_card(skb))
		return 0;
	__u32 likely = likely_checksum_at(&packet->places);
	if (likely && bpf_skb_change_tail(skb, likely + 1, 0) && !bpf_skb_change_tail(skb, likely + 2, 0))
		return likely;
	struct lengths lengths = { ETH_ADDRESSES + 1, skb->len < MAX_HEADERS ? skb->len : MAX_HEADERS };
	if (bpf_skb_change_tail(skb, lengths.cut, 0))
		return 0;
	for (__u32 i = 0; i < MAX_HEADERS_BITS && halve(skb, &lengths); i++)
		;
	return lengths.cut - 2;
}

static __always_inline void describe(struct __sk_buff *skb, const struct packet *packet, struct upcall *upcall)
{
	upcall->frame_len = skb->len;
	upcall->in_port = bpf_ntohl(packet->key.in_port_be);
	upcall->vlan_tci = skb->vlan_tci;
	upcall->vlan_proto_be = skb->vlan_present ? skb->vlan_proto : 0;
	upcall->key = packet->key;
	upcall->key.mask_id_be = 0;
	upcall->gso_size = skb->gso_size;
}

/*
 * Copy the first bytes of a frame behind a record that has so much room. One test of `last` bounds `length` from both
 * sides. The verifier of Linux 6.1 needs it so: of a number that is not 0 it does not know that it is 1 or more, and a
 * test of `length - 1`, which the compiler makes of two tests of `length`, tells it nothing of `length`. The `asm` keeps
 * from the compiler that both are one number.
 */
static __always_inline bool copy_frame(struct __sk_buff *skb, struct upcall *upcall, __u32 length,
				       const __u32 capacity)
{
	__u32 last = length - 1;

	asm volatile("" : "+r"(last));
	return last < capacity - sizeof(*upcall) && bpf_skb_load_bytes(skb, 0, upcall + 1, last + 1) == 0;
}

/*
 * Reserve, fill, submit; one copy of this for each ring and size, for the kernel wants both as constants. The frame is
 * rubbish afterwards.
 */
static __always_inline bool submit(struct __sk_buff *skb, const struct packet *packet, __u32 reason, void *ring,
				   const __u32 capacity)
{
	__u32 length = skb->len;
	struct upcall *upcall = bpf_ringbuf_reserve(ring, capacity, 0);

	if (!upcall)
		return false;
	describe(skb, packet, upcall);
	upcall->reason = reason;
	if (!copy_frame(skb, upcall, length, capacity)) {
		count(VERDICT_UPCALL_UNREADABLE);
		bpf_ringbuf_discard(upcall, 0);
		return true;
	}
	upcall->checksum_at = find_checksum_left(skb, packet);
	bpf_ringbuf_submit(upcall, 0);
	return true;
}

/* One for each ring: the ring of a call must be a constant. */
#define DEFINE_SEND_UP(name, ring, full)                                                                          \
	__noinline int name(struct __sk_buff *skb, const struct packet *packet, __u32 reason)                     \
	{                                                                                                         \
		__u32 record = skb->len + sizeof(struct upcall);                                                  \
		bool taken;                                                                                       \
                                                                                                                  \
		if (!packet)                                                                                      \
			return 0;                                                                                 \
		if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > MAX_BACKLOG) {                                   \
			taken = false;                                                                            \
		} else if (record <= UPCALL_SMALL) {                                                                     \
			taken = submit(skb, packet, reason, ring, UPCALL_SMALL);                                  \
		} else if (record <= UPCALL_MEDIUM) {                                                             \
			taken = submit(skb, packet, reason, ring, UPCALL_MEDIUM);                                 \
		} else if (record <= UPCALL_LARGE) {                                                              \
			taken = submit(skb, packet, reason, ring, UPCALL_LARGE);                                  \
		} else if (record <= UPCALL_HUGE) {                                                               \
			taken = submit(skb, packet, reason, ring, UPCALL_HUGE);                                   \
		} else if (record <= UPCALL_GIANT) {                                                              \
			taken = submit(skb, packet, reason, ring, UPCALL_GIANT);                                  \
		} else {                                                                                          \
			count(VERDICT_UPCALL_TOO_BIG);                                                            \
			return 0;                                                                                 \
		}                                                                                                 \
		if (!taken)                                                                                       \
			count(full);                                                                              \
		return taken;                                                                                     \
	}

DEFINE_SEND_UP(send_up_control, &upcalls_control, VERDICT_UPCALL_FULL_CONTROL)
DEFINE_SEND_UP(send_up_data, &upcalls_data, VERDICT_UPCALL_FULL_DATA)

static __always_inline void send_up(struct __sk_buff *skb, const struct packet *packet, __u32 reason)
{
	if (reason == UPCALL_MISS && is_flood_of_discovery(packet))
		count(VERDICT_DISCOVERY_FLOOD);
	else if (reason == UPCALL_MISS && is_flood_on_link(packet))
		count(VERDICT_LINK_LOCAL_FLOOD);
	else if (reason == UPCALL_MISS && is_flood_of_control(packet))
		count(VERDICT_CONTROL_FLOOD);
	else if (is_control(&packet->key) ? send_up_control(skb, packet, reason) : send_up_data(skb, packet, reason))
		return;
	__u32 slot = packet->port_slot;
	struct port_stats *port = bpf_map_lookup_elem(&port_stats, &slot);
	if (port)
		port->rx_dropped += packet->segments;
}

#endif
