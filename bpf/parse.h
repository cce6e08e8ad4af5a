/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * A frame's bytes become a flow_key: the same answer as inband/packet/parse.py gives, header by header, also for
 * rubbish (a property test compares the two). One cursor; each function checks the bounds of what it reads.
 *
 * Not every frame can be followed to its end in a bounded program: more than MAX_TAGS tags, MAX_EXTENSIONS extension
 * headers, MAX_ND_OPTIONS options, or headers behind MAX_HEADERS bytes make the frame `lost`; it is sent up.
 */
#ifndef INBAND_PARSE_H
#define INBAND_PARSE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define MAX_TAGS 4
#define MAX_EXTENSIONS 6
#define MAX_ND_OPTIONS 4
#define MAX_HEADERS 1024
#define MAX_HEADERS_BITS 10

#define ETH_ADDRESSES 12
#define MIN_ETH_TYPE 0x0600
#define NO_ETH_TYPE 0x05ff /* a length field without SNAP (OFP_DL_TYPE_NOT_ETH_TYPE) */
#define VLAN_PRESENT 0x1000

enum { ETH_IPV4 = 0x0800, ETH_ARP = 0x0806, ETH_VLAN = 0x8100, ETH_IPV6 = 0x86dd, ETH_MPLS = 0x8847,
       ETH_MPLS_MC = 0x8848, ETH_QINQ = 0x88a8, ETH_PBB = 0x88e7 };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMPV6 = 58, IP_SCTP = 132 };
enum { EXT_HOP_BY_HOP = 0, EXT_ROUTING = 43, EXT_FRAGMENT = 44, EXT_ESP = 50, EXT_AUTH = 51, EXT_NO_NEXT = 59,
       EXT_DESTINATION = 60 };
enum { JUMBO_OPTION = 0xc2 };
/* Of an IP packet's length field. A longer one, which waits to be cut (BIG TCP), has 0 there. */
#define MAX_LENGTH 0xffff
enum { FRAG_ANY = 1, FRAG_LATER = 2 };
enum { ND_SOLICITATION = 135, ND_ADVERTISEMENT = 136 };

/* Where the headers are that actions change; 0 where the packet has none or not the whole of it. */
struct places {
	__u32 ip_at;
	__u32 transport_at;
	__u32 arp_at;
	__u8 ip_version;
	__u8 transport; /* its protocol */
	bool routed;	/* an IPv6 routing header has segments left: no checksum covers the destination address */
};

/* How far a frame has been read. */
struct cursor {
	__u32 at;
	__u32 end;  /* of the IP packet, in a frame that may be longer */
	__u16 exthdr;
	__u8 exthdr_highest;
	bool has_lladdr;
	bool unread; /* wanted bytes that are in the frame but out of reach */
	bool lost;   /* more headers than are followed here */
};

/* All that is known of a frame on its way through the program. */
struct packet {
	struct flow_key key;
	struct places places;
	struct cursor cursor;
	__u32 bytes; /* as on a wire: with the tag that is beside the frame */
	__u32 segments;
	__u32 port_slot;
	__u32 keeps_port; /* a copy was sent already, or a queue is chosen: no port is skipped (actions.h) */
};

/* `size` bytes at `at`, or NULL when the frame ends before, or they are out of reach. */
static __always_inline void *peek(struct __sk_buff *skb, struct cursor *c, __u32 at, __u32 size)
{
	if (at > MAX_HEADERS) {
		c->lost = true;
		return NULL;
	}
	void *header = (void *)(long)skb->data + at;
	if (header + size > (void *)(long)skb->data_end) {
		if (at + size <= skb->len)
			c->unread = true;
		return NULL;
	}
	return header;
}

static __always_inline __be16 be16_at(const void *bytes)
{
	return *(const __be16 *)bytes;
}

static __always_inline __u16 u16_at(const void *bytes)
{
	return bpf_ntohs(be16_at(bytes));
}

/*
 * Copy `size` bytes, a multiple of four, in words. The compiler takes the frame's bytes one by one, for they may be at
 * odd addresses; a processor then waits for each of them when the key is read in words.
 */
static __always_inline void copy_words(void *to, const void *from, const __u32 size)
{
#pragma unroll
	for (__u32 at = 0; at + 8 <= size; at += 8)
		*(__u64 *)(to + at) = *(const __u64 *)(from + at);
	if (size & 4)
		*(__u32 *)(to + size - 4) = *(const __u32 *)(from + size - 4);
}

/*
 * Functions that are not static are verified by the kernel once and by themselves, and it forgets what it knew of the
 * memory they are given: without that, headers in loops multiply to a program too large for it.
 */

/* One option with the neighbour's address (RFC 4861, 4.6.1); whether another may follow. A broken one voids all. */
__noinline int step_nd_option(struct __sk_buff *skb, struct packet *packet, int wanted)
{
	if (!packet)
		return 0;
	struct cursor *c = &packet->cursor;
	__u8 *address = packet->key.nd_lladdr;
	__u32 at = c->at, left = c->end - at;

	if (at >= c->end)
		return 0;
	__u8 *option = left >= 2 ? peek(skb, c, at, 2) : NULL;
	__u32 size = option ? option[1] * 8 : 0;
	if (!size || size > left) {
		__builtin_memset(address, 0, 6);
		return 0;
	}
	if (option[0] == wanted && size == 8 && !c->has_lladdr) {
		option = peek(skb, c, at, 8);
		if (option)
			__builtin_memcpy(address, option + 2, 6);
		c->has_lladdr = true;
	}
	c->at = at + size;
	return 1;
}

static __always_inline void parse_icmpv6(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 *icmp = peek(skb, c, c->at, 8);

	if (!icmp)
		return;
	__u8 type = icmp[0];
	key->icmp.type = type;
	key->icmp.code = icmp[1];
	if ((type != ND_SOLICITATION && type != ND_ADVERTISEMENT) || icmp[1] || c->at + 24 > c->end)
		return;
	icmp = peek(skb, c, c->at, 24);
	if (!icmp)
		return;
	copy_words(key->nd_target, icmp + 8, 16);
	c->at += 24;
	for (int i = 0; step_nd_option(skb, packet, type == ND_SOLICITATION ? 1 : 2); i++) {
		if (i == MAX_ND_OPTIONS) {
			c->lost = true;
			return;
		}
	}
}

/* The transport header, if all of it is before the IP packet's end. */
static __always_inline void parse_transport(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	bool is_ipv4 = packet->places.ip_version == 4;
	__u8 proto = key->ip_proto;
	__u32 size = proto == IP_TCP ? 20 : proto == IP_SCTP ? 12 : 8;

	if (c->at + size > c->end)
		return;
	if (proto == IP_ICMPV6 && !is_ipv4) {
		packet->places.transport = proto;
		packet->places.transport_at = c->at;
		parse_icmpv6(skb, packet);
		return;
	}
	if (proto != IP_TCP && proto != IP_UDP && proto != IP_SCTP && !(proto == IP_ICMP && is_ipv4))
		return;
	__u8 *header = peek(skb, c, c->at, 8);
	if (!header)
		return;
	if (proto == IP_ICMP) {
		key->icmp.type = header[0];
		key->icmp.code = header[1];
		return;
	}
	key->transport.src_be = be16_at(header);
	key->transport.dst_be = be16_at(header + 2);
	if (proto == IP_TCP) {
		header = peek(skb, c, c->at, 20);
		if (!header)
			return;
		key->tcp_flags_be = be16_at(header + 12) & bpf_htons(0x0fff);
	}
	packet->places.transport = proto;
	packet->places.transport_at = c->at;
}

static __always_inline void parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 *ip = peek(skb, c, c->at, 20);

	if (!ip)
		return;
	__u32 header_size = (ip[0] & 15) * 4, total = u16_at(ip + 2), fragment = u16_at(ip + 6);
	if (!total && skb->len - c->at > MAX_LENGTH)
		total = skb->len - c->at;
	if (ip[0] >> 4 != 4 || header_size < 20 || total < header_size || total > skb->len - c->at)
		return;
	key->ip_tos = ip[1];
	key->ip_ttl = ip[8];
	key->ip_proto = ip[9];
	copy_words(&key->ipv4, ip + 12, 8);
	packet->places.ip_version = 4;
	packet->places.ip_at = c->at;
	if (fragment & 0x1fff) {
		key->ip_frag = FRAG_ANY | FRAG_LATER;
		return;
	}
	if (fragment & 0x2000)
		key->ip_frag = FRAG_ANY;
	c->end = c->at + total;
	c->at += header_size;
	parse_transport(skb, packet);
}

/* OFPIEH_* of one header (OpenFlow 1.3.5, 7.2.3.8) and its place in the order of RFC 8200, 4.1. */
static __always_inline __u16 exthdr_bit(__u8 proto)
{
	switch (proto) {
	case EXT_NO_NEXT: return 1;
	case EXT_ESP: return 2;
	case EXT_AUTH: return 4;
	case EXT_DESTINATION: return 8;
	case EXT_FRAGMENT: return 16;
	case EXT_ROUTING: return 32;
	case EXT_HOP_BY_HOP: return 64;
	}
	return 0;
}

static __always_inline __u8 exthdr_rank(__u8 proto, __u8 highest)
{
	switch (proto) {
	case EXT_HOP_BY_HOP: return 0;
	case EXT_ROUTING: return 2;
	case EXT_FRAGMENT: return 3;
	case EXT_AUTH: return 4;
	case EXT_ESP: return 5;
	case EXT_NO_NEXT: return 7;
	}
	return highest <= 1 ? 1 : 6; /* destination options: before a routing header, or last */
}

#define EXTHDR_REPEATED 128
#define EXTHDR_OUT_OF_ORDER 256

static __always_inline void note_exthdr(struct cursor *c, __u8 proto)
{
	__u16 bit = exthdr_bit(proto), bits = c->exthdr;
	__u8 highest = c->exthdr_highest, rank = exthdr_rank(proto, highest);
	bool may_repeat = proto == EXT_DESTINATION && bits & 32 && highest < 6;

	if (bits & bit && !may_repeat)
		bits |= EXTHDR_REPEATED;
	if (rank < highest)
		bits |= EXTHDR_OUT_OF_ORDER;
	c->exthdr = bits | bit;
	c->exthdr_highest = rank > highest ? rank : highest;
}

enum step { STEP_ON, STEP_TRANSPORT, STEP_END };

/* One extension header: go on behind it, or a transport header follows, or nothing does. */
__noinline int step_extension(struct __sk_buff *skb, struct packet *packet)
{
	if (!packet)
		return STEP_END;
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 proto = key->ip_proto;

	if (!exthdr_bit(proto))
		return STEP_TRANSPORT;
	note_exthdr(c, proto);
	if (proto == EXT_ESP || proto == EXT_NO_NEXT || c->at + 8 > c->end)
		return STEP_END;
	__u8 *header = peek(skb, c, c->at, 8);
	if (!header)
		return STEP_END;
	__u32 size = proto == EXT_AUTH ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
	if (proto == EXT_ROUTING && header[3])
		packet->places.routed = true;
	if (proto == EXT_FRAGMENT) {
		__u16 fragment = u16_at(header + 2);
		size = 8;
		if (fragment & 0xfff9) /* the two bits between are reserved */
			key->ip_frag = FRAG_ANY;
		if (fragment & 0xfff8) {
			key->ip_frag = FRAG_ANY | FRAG_LATER;
			return STEP_END; /* what its header names is in the first fragment: the protocol stays 44 */
		}
	}
	if (c->at + size > c->end)
		return STEP_END;
	key->ip_proto = header[0];
	c->at += size;
	return STEP_ON;
}

static __always_inline void parse_extensions(struct __sk_buff *skb, struct packet *packet)
{
	int step = exthdr_bit(packet->key.ip_proto) ? STEP_ON : STEP_TRANSPORT;

	for (int i = 0; i <= MAX_EXTENSIONS && step == STEP_ON; i++)
		step = step_extension(skb, packet);
	packet->key.ipv6.exthdr_be = bpf_htons(packet->cursor.exthdr);
	if (step == STEP_ON)
		packet->cursor.lost = true;
	if (step == STEP_TRANSPORT)
		parse_transport(skb, packet);
}

/* A header with nothing but the length (RFC 2675, 2), which no segment will have. */
static __always_inline void skip_jumbo_header(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	__u8 *header = peek(skb, c, c->at, 8);

	if (!header || header[1] || header[2] != JUMBO_OPTION || header[3] != 4)
		return;
	packet->key.ip_proto = header[0];
	c->at += 8;
}

static __always_inline void parse_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 *ip = peek(skb, c, c->at, 40);

	if (!ip)
		return;
	__u32 payload = u16_at(ip + 4), rest = skb->len - c->at - 40;
	bool is_big = !payload && rest > MAX_LENGTH;
	if (ip[0] >> 4 != 6 || payload > rest)
		return;
	__u32 first = bpf_ntohl(*(__be32 *)ip);
	key->ip_tos = first >> 20;
	key->ip_proto = ip[6];
	key->ip_ttl = ip[7];
	copy_words(&key->ipv6, ip + 8, 32);
	key->ipv6.flow_label_be = bpf_htonl(first & 0xfffff);
	packet->places.ip_version = 6;
	packet->places.ip_at = c->at;
	c->at += 40;
	c->end = c->at + (is_big ? rest : payload);
	if (is_big && key->ip_proto == EXT_HOP_BY_HOP)
		skip_jumbo_header(skb, packet);
	parse_extensions(skb, packet);
}

static __always_inline void parse_arp(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 *arp = peek(skb, c, c->at, 28);
	/* Ethernet, IPv4, and the lengths of their addresses */
	if (!arp || *(__be32 *)arp != bpf_htonl(0x00010800) || be16_at(arp + 4) != bpf_htons(0x0604))
		return;
	packet->places.arp_at = c->at;
	key->arp.op_be = be16_at(arp + 6);
	__builtin_memcpy(key->arp.sha, arp + 8, 6);
	__builtin_memcpy(key->arp.spa, arp + 14, 4);
	__builtin_memcpy(key->arp.tha, arp + 18, 6);
	__builtin_memcpy(key->arp.tpa, arp + 24, 4);
}

static __always_inline void parse_network(struct __sk_buff *skb, struct packet *packet, __u16 eth_type)
{
	struct cursor *c = &packet->cursor;

	if (eth_type == ETH_IPV4) {
		parse_ipv4(skb, packet);
	} else if (eth_type == ETH_IPV6) {
		parse_ipv6(skb, packet);
	} else if (eth_type == ETH_ARP) {
		parse_arp(skb, packet);
	} else if (eth_type == ETH_MPLS || eth_type == ETH_MPLS_MC || eth_type == ETH_PBB) {
		__be32 *shim = peek(skb, c, c->at, 4);
		if (shim)
			packet->key.mpls_be = eth_type == ETH_PBB ? *shim & bpf_htonl(0xffffff) : *shim;
	}
}

static __always_inline __be16 vlan_field(__u16 tci)
{
	return bpf_htons((tci & 0xefff) | VLAN_PRESENT); /* the DEI bit's place is OFPVID_PRESENT's */
}

static __always_inline bool is_tag(__u16 eth_type)
{
	return eth_type == ETH_VLAN || eth_type == ETH_QINQ;
}

/*
 * The tags in the frame; the type behind them, or -1 where the frame ends in a tag, which then is its type. Of such a
 * frame the kernel's helpers would not even take the tag before.
 */
static __always_inline int parse_tags(struct __sk_buff *skb, struct packet *packet, __u16 eth_type)
{
	struct cursor *c = &packet->cursor;

	for (int i = 0; i < MAX_TAGS && is_tag(eth_type); i++) {
		__u8 *tag = peek(skb, c, c->at, 4);
		if (!tag) {
			packet->key.eth_type_be = bpf_htons(eth_type);
			c->lost = true;
			return -1;
		}
		if (!packet->key.vlan_be)
			packet->key.vlan_be = vlan_field(u16_at(tag));
		else if (!packet->key.inner_vlan_be)
			packet->key.inner_vlan_be = vlan_field(u16_at(tag));
		eth_type = u16_at(tag + 2);
		c->at += 4;
	}
	if (is_tag(eth_type))
		c->lost = true;
	return eth_type;
}

/* The type of a frame with a length field: what its SNAP header says (IEEE 802-2014, 9.2). */
static __always_inline __u16 parse_snap(struct __sk_buff *skb, struct cursor *c)
{
	__u8 *snap = peek(skb, c, c->at, 8);

	if (!snap || *(__be32 *)snap != bpf_htonl(0xaaaa0300) || be16_at(snap + 4) ||
	    u16_at(snap + 6) < MIN_ETH_TYPE)
		return NO_ETH_TYPE;
	c->at += 8;
	return u16_at(snap + 6);
}

/* All of a frame; whether it has to be parsed again because headers were out of reach. in_port is in the key. */
__noinline int parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	if (!packet)
		return 0;
	struct cursor *c = &packet->cursor;
	struct flow_key *key = &packet->key;
	__u8 *ethernet = peek(skb, c, 0, 14);

	if (!ethernet)
		return c->unread;
	copy_words(key->eth_dst, ethernet, ETH_ADDRESSES);
	__u16 eth_type = u16_at(ethernet + ETH_ADDRESSES);
	c->at = 14;
	if (skb->vlan_present)
		key->vlan_be = vlan_field(skb->vlan_tci);
	if (is_tag(eth_type)) {
		int behind = parse_tags(skb, packet, eth_type);
		if (behind < 0)
			return c->unread;
		eth_type = behind;
	}
	if (eth_type < MIN_ETH_TYPE)
		eth_type = parse_snap(skb, c);
	key->eth_type_be = bpf_htons(eth_type);
	parse_network(skb, packet, eth_type);
	return c->unread;
}

#endif
