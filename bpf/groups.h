/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Which bucket of a group a packet takes: the twin of inband/pipeline/group_choice.py, which says why, in whole numbers.
 * Both give every packet the same bucket.
 */
#ifndef INBAND_GROUPS_H
#define INBAND_GROUPS_H

#include "maps.h"
#include "parse.h"

#define GOLDEN_RATIO 0x9e3779b97f4a7c15ULL
#define VID_BITS 0x1fff /* and whether there is a tag */
#define ONE (1ULL << 32)
/* Of the curve between two powers of two: group_choice.py. */
#define BEND_0 1901360723ULL
#define BEND_1 1062306863ULL
#define BEND_2 357749427ULL

static __always_inline __u64 hash_in(__u64 hash, __u32 word)
{
	hash = (hash ^ word) * GOLDEN_RATIO;
	return hash ^ hash >> 32;
}

static __always_inline bool has_ports(const struct flow_key *key)
{
	__u16 eth_type = bpf_ntohs(key->eth_type_be);

	if ((eth_type != ETH_IPV4 && eth_type != ETH_IPV6) || key->ip_frag)
		return false;
	return key->ip_proto == IP_TCP || key->ip_proto == IP_UDP || key->ip_proto == IP_SCTP;
}

/* A number that all packets of a flow have, of 32 bits. */
__noinline __u32 hash_of_flow(const struct flow_key *key, __u32 group_id)
{
	if (!key)
		return 0;
	__u16 eth_type = bpf_ntohs(key->eth_type_be);
	const __be16 *ethernet = (const __be16 *)key->eth_dst; /* the source follows */
	const __be32 *words = (const __be32 *)key->network;
	__u32 count = eth_type == ETH_IPV4 ? 2 : eth_type == ETH_IPV6 ? 8 : eth_type == ETH_ARP ? 2 : 0;
	__u64 hash = group_id;

#pragma unroll
	for (unsigned int i = 0; i < 6; i += 2)
		hash = hash_in(hash, (__u32)bpf_ntohs(ethernet[i]) << 16 | bpf_ntohs(ethernet[i + 1]));
	hash = hash_in(hash, (__u32)eth_type << 16 | (bpf_ntohs(key->vlan_be) & VID_BITS));
	hash = hash_in(hash, eth_type == ETH_IPV4 || eth_type == ETH_IPV6 ? key->ip_proto : 0);
	hash = hash_in(hash, has_ports(key) ? (__u32)bpf_ntohs(key->transport.src_be) << 16 |
						      bpf_ntohs(key->transport.dst_be) : 0);
	for (unsigned int i = 0; i < 8 && i < count; i++)
		hash = hash_in(hash, bpf_ntohl(words[i]));
	return hash;
}

static __always_inline __u32 spread(__u32 number)
{
	number = (number ^ number >> 16) * 0x85ebca6b;
	number = (number ^ number >> 13) * 0xc2b2ae35;
	return number ^ number >> 16;
}

/* How far a number is from 2^32, in doublings (by 2^-32). */
static __always_inline __u64 doublings_left(__u32 number)
{
	__u64 odd = 2 * (__u64)number + 1, left = 1;

	/* Up to a number of 33 bits. */
#pragma unroll
	for (__u32 step = 32; step; step >>= 1)
		if (odd < 1ULL << (33 - step)) {
			odd <<= step;
			left += step;
		}
	__u64 fraction = odd - ONE;
	__u64 bend = BEND_0 - ((BEND_1 - (BEND_2 * fraction >> 32)) * fraction >> 32);
	return (left << 32) - fraction - ((fraction * (ONE - fraction) >> 32) * bend >> 32);
}

/* The best bucket so far. */
struct choice {
	__u64 nearest;
	__u32 weight; /* 0: there is none */
	__u32 chosen;
};

/* Compare one more bucket. Apart from the loop, whose body the kernel's verifier reads once for each turn. */
__noinline int compare_share(const struct group *group, __u32 at, __u32 flow, struct choice *best)
{
	if (!group || !best || at >= MAX_SHARES)
		return 0;
	const struct share *share = &group->shares[at];
	__u64 left = doublings_left(spread(flow ^ share->identity));
	/* left / share->weight < nearest / weight, of the first one at any rate */
	if (!best->weight || left * best->weight < best->nearest * share->weight) {
		best->nearest = left;
		best->weight = share->weight;
		best->chosen = at;
	}
	return 1;
}

/* The place of the bucket among a group's that this packet takes. */
__noinline __u32 choose(const struct flow_key *key, const struct group *group, __u32 group_id)
{
	if (!key || !group || group->count < 2)
		return 0;
	__u32 flow = hash_of_flow(key, group_id);
	struct choice best = {};

	for (__u32 i = 0; i < MAX_SHARES && i < group->count; i++)
		compare_share(group, i, flow, &best);
	return best.chosen;
}

#endif
