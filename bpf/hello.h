/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Hellos of a neighbour that say what is expected: that it is there, and hears this switch. Fifty a second come on each
 * link with control traffic; the switch need not wake up for each. It writes what the next one looks like, and reads
 * here, when it has something to do anyway, which came last and when (docs/neighbours.md, "The frame"). Any other goes
 * up: of another neighbour, another life of it, another pace, with news, or one that does not name this switch.
 */
#ifndef INBAND_HELLO_H
#define INBAND_HELLO_H

#include "maps.h"
#include "parse.h"

#define ETH_EXPERIMENT 0x88b5
/* Words and bytes of a hello: what differs from one to the next are three fields. */
#define HELLO_SEQUENCE_WORD 9
#define HELLO_HEARD_WORD 13 /* its second half, and the first one of the next */
#define HELLO_WORDS (HELLO_BYTES / 4)

/* Whether the words are those that are expected but for the sequence numbers, and for how long one was held. */
static __always_inline bool looks_like(const __u32 *words, const __u32 *expected)
{
	__u32 other = 0;

#pragma unroll
	for (__u32 i = 0; i < HELLO_HEARD_WORD; i++)
		if (i != HELLO_SEQUENCE_WORD)
			other |= words[i] ^ expected[i];
	return !(other | (bpf_ntohl(words[HELLO_HEARD_WORD] ^ expected[HELLO_HEARD_WORD]) >> 16));
}

/* Whether this is such a hello; then it is noted. */
__noinline int take_hello(struct __sk_buff *skb, __u32 slot)
{
	struct hello_watch *watch = bpf_map_lookup_elem(&hellos, &slot);
	__u32 words[HELLO_WORDS];

	if (!watch || !watch->is_on || skb->len != HELLO_BYTES || skb->vlan_present)
		return 0;
	if (bpf_skb_load_bytes(skb, 0, words, sizeof(words)) < 0 || !looks_like(words, watch->expected))
		return 0;
	__u32 sequence = bpf_ntohl(words[HELLO_SEQUENCE_WORD]);
	__u32 tail = bpf_ntohl(words[HELLO_HEARD_WORD + 1]);
	__u32 heard = bpf_ntohl(words[HELLO_HEARD_WORD]) << 16 | tail >> 16;
	__u32 newer = sequence - watch->sequence, age = watch->own_sequence - heard;
	if (!newer || newer >= HELLO_WINDOW || age >= HELLO_WINDOW)
		return 0;
	watch->at_ns = bpf_ktime_get_ns();
	watch->sequence = sequence;
	watch->heard_sequence = heard;
	watch->heard_hold = tail & 0xffff;
	watch->taken++;
	return 1;
}

static __always_inline bool is_expected_hello(struct __sk_buff *skb, const struct packet *packet)
{
	return packet->key.eth_type_be == bpf_htons(ETH_EXPERIMENT) && take_hello(skb, packet->port_slot);
}

#endif
