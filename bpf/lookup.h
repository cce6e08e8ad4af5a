/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* How an entry or a rule is found by a packet's key under a mask, and how it counts the packet. */
#ifndef INBAND_LOOKUP_H
#define INBAND_LOOKUP_H

#include "maps.h"
#include "parse.h"

/* NH (RFC 4418, 5.2): products of sums with a secret, without which no keys can be made that collide. */
static __always_inline __u64 hash_of_word(__u64 word, const __u32 *secret)
{
	return (__u64)((__u32)word + secret[0]) * (__u32)((word >> 32) + secret[1]);
}

/* Some words of a key under a mask; its terms do not wait for each other. inband/datapath/ebpf/keys.py has the same. */
static __always_inline __u64 hash_of(const struct flow_key *key, const struct mask *mask, const struct config *config,
				     unsigned int from, unsigned int to)
{
	const __u64 *words = (const __u64 *)key, *bits = (const __u64 *)&mask->bits;
	__u64 hash = 0;

#pragma unroll
	for (unsigned int i = from; i < to; i++)
		hash += hash_of_word(words[i] & bits[i], &config->secret[2 * i]);
	return hash;
}

/* 0 if in these words the key is the entry's. */
static __always_inline __u64 difference(const struct flow_key *key, const struct mask *mask,
					const struct flow_entry *entry, unsigned int from, unsigned int to)
{
	const __u64 *words = (const __u64 *)key, *bits = (const __u64 *)&mask->bits, *wanted = (const __u64 *)&entry->key;
	__u64 bits_that_differ = 0;

#pragma unroll
	for (unsigned int i = from; i < to; i++)
		bits_that_differ |= (words[i] & bits[i]) ^ wanted[i];
	return bits_that_differ;
}

/* Count a packet; the counters may be those of no slot. */
static __always_inline void credit(struct flow_stats *counted, const struct packet *packet)
{
	if (!counted)
		return;
	__sync_fetch_and_add(&counted->packets, packet->segments);
	__sync_fetch_and_add(&counted->bytes, packet->bytes);
	/* The clock is read once per tick, which is as exact as this clock is. */
	__u64 tick = bpf_jiffies64();
	if (counted->tick != tick) {
		counted->tick = tick;
		counted->used_ns = bpf_ktime_get_coarse_ns();
	}
}

#endif
