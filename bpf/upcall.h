/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * A frame goes up to the switch, whole, by one of two rings: a flood of data that nobody knows must not push out of the
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
	return port == 53 || port == 67 || port == 68 || port == 546 || port == 547;
}

/* ARP, router and neighbour discovery, DHCP and DNS, and TCP with the ports of controllers and managers. */
static __always_inline bool is_control(const struct flow_key *key)
{
	__u16 eth_type = bpf_ntohs(key->eth_type_be);

	if (eth_type == ETH_ARP)
		return true;
	if (eth_type != ETH_IPV4 && eth_type != ETH_IPV6)
		return false;
	if (key->ip_proto == IP_UDP)
		return is_control_udp(key->transport.src_be) || is_control_udp(key->transport.dst_be);
	if (key->ip_proto == IP_TCP)
		return is_control_port(key->transport.src_be) || is_control_port(key->transport.dst_be);
	return eth_type == ETH_IPV6 && key->ip_proto == IP_ICMPV6 && key->icmp.type >= 133 && key->icmp.type <= 137;
}

/* The sum of the pseudo-header, folded: what Linux writes where it leaves a checksum to the card. */
static __always_inline __u16 pseudo_header_sum(const struct packet *packet, __u32 length)
{
	const struct flow_key *key = &packet->key;
	const __be16 *words = (const __be16 *)key->network;
	__u64 sum = bpf_htons(length) + bpf_htons(key->ip_proto);

	for (int i = 0; i < 4; i++)
		sum += words[i];
	for (int i = 4; i < 16 && packet->places.ip_version == 6; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Whether the sender left the checksum `offset` bytes into the transport header to its card. */
static __always_inline bool is_half_done(struct __sk_buff *skb, const struct packet *packet, __u32 offset)
{
	__u32 at = packet->places.transport_at;
	__be32 crc;
	__u16 sum;

	if (packet->places.transport == IP_SCTP)
		return bpf_skb_load_bytes(skb, at + offset, &crc, 4) == 0 && !crc;
	return bpf_skb_load_bytes(skb, at + offset, &sum, 2) == 0 && sum &&
	       sum == pseudo_header_sum(packet, packet->cursor.end - at);
}

/* What a card would have been asked to do with a frame that is to be cut. */
static __always_inline void describe_gso(struct __sk_buff *skb, const struct packet *packet, struct upcall *upcall)
{
	__u32 at = packet->places.transport_at;
	__u8 size_and_flags[2] = {};

	upcall->gso_size = skb->gso_size;
	upcall->gso_type = GSO_UNKNOWN;
	if (packet->places.transport == IP_UDP) {
		upcall->gso_type = GSO_UDP_L4;
		upcall->header_len = at + 8;
	} else if (packet->places.transport == IP_TCP && !bpf_skb_load_bytes(skb, at + 12, size_and_flags, 2)) {
		upcall->gso_type = packet->places.ip_version == 4 ? GSO_TCPV4 : GSO_TCPV6;
		if (size_and_flags[1] & 0x80) /* CWR */
			upcall->gso_type |= GSO_ECN;
		upcall->header_len = at + (size_and_flags[0] >> 4) * 4;
	}
}

static __always_inline void describe(struct __sk_buff *skb, const struct packet *packet, struct upcall *upcall)
{
	__u8 transport = packet->places.transport;
	__u16 offset = transport == IP_TCP ? 16 : transport == IP_UDP ? 6 : 8;

	upcall->frame_len = skb->len;
	upcall->in_port = bpf_ntohl(packet->key.in_port_be);
	upcall->vlan_tci = skb->vlan_tci;
	upcall->vlan_proto_be = skb->vlan_present ? skb->vlan_proto : 0;
	upcall->key = packet->key;
	upcall->key.mask_id_be = 0;
	upcall->gso_size = upcall->gso_type = upcall->header_len = upcall->checksum_start = 0;
	upcall->checksum_offset = offset;
	if (skb->gso_size)
		describe_gso(skb, packet, upcall);
	if (transport && (skb->gso_size || is_half_done(skb, packet, offset)))
		upcall->checksum_start = packet->places.transport_at;
}

/* Reserve, fill, submit; one copy of this for each ring and size, for the kernel wants both as constants. */
static __always_inline bool submit(struct __sk_buff *skb, const struct packet *packet, __u32 reason, void *ring,
				   const __u32 capacity)
{
	__u32 length = skb->len;
	struct upcall *upcall = bpf_ringbuf_reserve(ring, capacity, 0);

	if (!upcall)
		return false;
	describe(skb, packet, upcall);
	upcall->reason = reason;
	/* The compiler knows the bounds already and would drop these tests; the verifier has to see them. */
	asm volatile("" : "+r"(length));
	if (length == 0 || length > capacity - sizeof(*upcall) ||
	    bpf_skb_load_bytes(skb, 0, upcall + 1, length) < 0) {
		count(VERDICT_UPCALL_UNREADABLE);
		bpf_ringbuf_discard(upcall, 0);
		return true;
	}
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
		if (record <= UPCALL_SMALL) {                                                                     \
			taken = submit(skb, packet, reason, ring, UPCALL_SMALL);                                  \
		} else if (record <= UPCALL_MEDIUM) {                                                             \
			taken = submit(skb, packet, reason, ring, UPCALL_MEDIUM);                                 \
		} else if (record <= UPCALL_LARGE) {                                                              \
			taken = submit(skb, packet, reason, ring, UPCALL_LARGE);                                  \
		} else if (record <= UPCALL_HUGE) {                                                               \
			taken = submit(skb, packet, reason, ring, UPCALL_HUGE);                                   \
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
	if (is_control(&packet->key) ? send_up_control(skb, packet, reason) : send_up_data(skb, packet, reason))
		return;
	struct port_stats *port = bpf_map_lookup_elem(&port_stats, &packet->port_slot);
	if (port)
		port->rx_dropped += packet->segments;
}

#endif
