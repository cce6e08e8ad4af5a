// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The switch's fast path: at the tc ingress of every port, and of the inner end of the bridge's own interface.
 *
 * A frame is parsed to a flow_key; the masks are tried one after another, each with one lookup of the masked key's hash;
 * the entry found, if its key is the frame's, says what to do. In front of the masks a small cache per CPU remembers
 * which mask packets with this very key hit last. What becomes of a frame without an entry the rules of the tables say
 * (tables.h), as far as they are here; else it goes up to the switch.
 *
 * Invariants:
 * - The host's own stack never gets a frame of a port: no path returns TC_ACT_OK.
 * - No frame disappears without being counted (enum verdict).
 * - An entry of another epoch than the present one is no entry. So the switch forgets everything by one store.
 * - What this program does not understand goes up; unsure is never a reason to drop or to guess.
 * - The verifier of Linux 6.1 takes it. That one wants the key of a map in a variable, not in memory that the
 *   caller of a function passed. It counts each function's stack up to a multiple of 32 bytes, and of the functions that
 *   have called each other no more than 512 together. So variables have the smallest scope, here above all.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "actions.h"
#include "lookup.h"
#include "maps.h"
#include "parse.h"
#include "tables.h"
#include "upcall.h"

/* What frames of up to this size need to have within reach, when their headers are spread over fragments. */
#define PULL_SIZE 512

/* Parse; when headers are out of reach bring them near and parse again. */
static __always_inline void parse(struct __sk_buff *skb, struct packet *packet)
{
	if (!parse_packet(skb, packet))
		return;
	__be32 in_port_be = packet->key.in_port_be;
	__builtin_memset(&packet->key, 0, sizeof(packet->key));
	__builtin_memset(&packet->places, 0, sizeof(packet->places));
	__builtin_memset(&packet->cursor, 0, sizeof(packet->cursor));
	packet->key.in_port_be = in_port_be;
	packet->key.mask_id_be = 0xffff;
	__u32 length = skb->len;
	bpf_skb_pull_data(skb, length < PULL_SIZE ? length : PULL_SIZE);
	if (parse_packet(skb, packet))
		packet->cursor.lost = true;
}

/* The entry of one mask for this packet, if there is one and it is of the present. */
static __always_inline struct flow_entry *look_up(const struct flow_key *key, __u32 index, const struct config *config)
{
	struct mask *mask = bpf_map_lookup_elem(&masks, &index);

	if (!mask || !mask->words)
		return NULL;
	__u64 hash = hash_of(key, mask, config, 0, SHORT_KEY);
	if (mask->words > SHORT_KEY)
		hash += hash_of(key, mask, config, SHORT_KEY, KEY_WORDS);
	struct flow_entry *entry = bpf_map_lookup_elem(&megaflows, &hash);
	if (!entry || (entry->epoch != config->epoch && entry->epoch != config->adopted_epoch))
		return NULL;
	if (difference(key, mask, entry, 0, SHORT_KEY))
		return NULL;
	if (mask->words > SHORT_KEY && difference(key, mask, entry, SHORT_KEY, KEY_WORDS))
		return NULL;
	return entry;
}

#define SEARCHED_TOGETHER 4

/*
 * The first of a few masks (plus 1) that has an entry for the packet, or 0. Apart from the loop over all, for the
 * kernel's verifier reads a loop's body once for each turn, and a function once; a few, for calls take their time too.
 */
__noinline int search_some(const struct packet *packet, const struct config *config, __u32 first)
{
	if (!packet || !config)
		return 0;
#pragma unroll
	for (__u32 i = 0; i < SEARCHED_TOGETHER; i++)
		if (first + i < config->mask_count && look_up(&packet->key, first + i, config))
			return first + i + 1;
	return 0;
}

/* The first mask (plus 1) that has an entry for the packet, or 0. */
__noinline int search(const struct packet *packet, const struct config *config)
{
	if (!packet || !config)
		return 0;
	for (__u32 i = 0; i < MAX_MASKS && i < config->mask_count; i += SEARCHED_TOGETHER) {
		int found = search_some(packet, config, i);
		if (found)
			return found;
	}
	return 0;
}

static __always_inline __u32 cache_slot(const struct flow_key *key, const struct config *config)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = 0;

#pragma unroll
	for (unsigned int i = 0; i < KEY_WORDS; i++)
		hash += hash_of_word(words[i], &config->secret[2 * i]);
	return (hash >> 32) % CACHE_SIZE;
}

/* One lookup where there is one mask or the hint is right, which is nearly always. */
static __always_inline struct flow_entry *find(const struct packet *packet, const struct config *config)
{
	__u32 first = 1, *hint = &first;
	struct flow_entry *entry;

	if (config->mask_count > 1) {
		__u32 slot = cache_slot(&packet->key, config);
		hint = bpf_map_lookup_elem(&mask_cache, &slot);
		if (!hint)
			return NULL;
	}
	entry = look_up(&packet->key, *hint - 1, config);
	if (entry || config->mask_count == 1)
		return entry;
	__u32 mask = search(packet, config);
	if (!mask)
		return NULL;
	*hint = mask;
	return look_up(&packet->key, mask - 1, config);
}

static __always_inline struct port_in *port_of(__u32 ifindex)
{
	__u32 place = ifindex % MAX_PORTS;
	struct port_in *port = bpf_map_lookup_elem(&ports_near, &place);

	return port && port->ifindex == ifindex ? port : bpf_map_lookup_elem(&ports_in, &ifindex);
}

static __always_inline int receive(struct __sk_buff *skb, struct packet *packet)
{
	struct port_in *port = port_of(skb->ifindex);

	if (!port)
		return 0;
	packet->key.in_port_be = port->number_be;
	packet->key.mask_id_be = 0xffff;
	packet->port_slot = port->slot;
	packet->bytes = skb->len + (skb->vlan_present ? TAG_SIZE : 0);
	packet->segments = skb->gso_segs > 1 ? skb->gso_segs : 1;
	__u32 slot = packet->port_slot;
	struct port_stats *counted = bpf_map_lookup_elem(&port_stats, &slot);
	if (counted) {
		counted->rx_packets += packet->segments;
		counted->rx_bytes += packet->bytes;
	}
	return 1;
}

/* A function of its own so that the key's place on the stack is free again. */
static __always_inline struct config *config_of_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

SEC("tc")
int fastpath(struct __sk_buff *skb)
{
	struct packet packet = {};
	struct config *now = config_of_now();

	if (!now || !receive(skb, &packet)) {
		count(VERDICT_INPUT_NO_PORT);
		return TC_ACT_SHOT;
	}
	parse(skb, &packet);
	struct flow_entry *entry = packet.cursor.lost ? NULL : find(&packet, now);
	if (!entry) {
		int decided = packet.cursor.lost ? GOES_UP : decide(skb, &packet, now);
		if (decided == GOES_ON)
			decided = decide_on_way(skb, &packet, now);
		if (decided != GOES_UP)
			return decided;
		send_up(skb, &packet, UPCALL_MISS);
		count(packet.cursor.lost ? VERDICT_NOT_UNDERSTOOD : VERDICT_MISS);
		return TC_ACT_SHOT;
	}
	count(VERDICT_MEGAFLOW_HIT);
	__u32 slot = entry->slot;
	credit(bpf_map_lookup_elem(&stats, &slot), &packet);
	return run(skb, &packet, entry);
}

/* What a meter says of a packet that the switch itself carries out actions on: run by it with a struct meter_question. */
SEC("tc")
int meter(struct __sk_buff *skb)
{
	struct meter_question asked;

	if (bpf_skb_load_bytes(skb, 0, &asked, sizeof(asked)) < 0)
		return METER_PASS;
	return ask_meter(asked.meter_id, asked.packets, asked.bytes);
}

/* Some helpers are for GPL-compatible programs only, hence the choice of licences. */
char _license[] SEC("license") = "GPL";
