// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The switch's fast path: at the tc ingress of every port, and of the inner end of the bridge's own interface.
 *
 * A frame is parsed to a flow_key; the masks are tried one after another, each with one lookup of the masked key; the
 * entry found says what to do. A frame without an entry goes up to the switch. In front of the masks a small cache per
 * CPU remembers which mask packets with this very key hit last.
 *
 * What must stay true:
 * - The host's own stack never gets a frame of a port: no path returns TC_ACT_OK.
 * - No frame disappears without being counted (enum verdict).
 * - An entry of another epoch than the present one is no entry. So the switch forgets everything by one store.
 * - What this program does not understand goes up; unsure is never a reason to drop or to guess.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "actions.h"
#include "maps.h"
#include "parse.h"
#include "upcall.h"

#define KEY_WORDS (sizeof(struct flow_key) / 8)

/* What frames of up to this size need to have within reach, when their headers are spread over fragments. */
#define PULL_SIZE 512

/* Parse; when headers stand out of reach bring them near and parse again. */
static __always_inline void parse(struct __sk_buff *skb, struct packet *packet)
{
	if (!parse_packet(skb, packet))
		return;
	__be32 in_port_be = packet->key.in_port_be;
	__builtin_memset(&packet->key, 0, sizeof(packet->key));
	__builtin_memset(&packet->places, 0, sizeof(packet->places));
	__builtin_memset(&packet->cursor, 0, sizeof(packet->cursor));
	packet->key.in_port_be = in_port_be;
	__u32 length = skb->len;
	bpf_skb_pull_data(skb, length < PULL_SIZE ? length : PULL_SIZE);
	if (parse_packet(skb, packet))
		packet->cursor.lost = true;
}

static __always_inline __u32 hash_of(const struct flow_key *key)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = 0;

#pragma unroll
	for (unsigned int i = 0; i < KEY_WORDS; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return hash >> 32;
}

/* The entry of one mask for this packet, if there is one and it is of the present. */
static __noinline struct flow_entry *look_up(const struct flow_key *key, __u32 index, __u64 epochs)
{
	struct flow_key masked;
	struct flow_key *mask = bpf_map_lookup_elem(&masks, &index);
	const __u64 *words = (const __u64 *)key, *bits = (const __u64 *)mask;
	__u64 *out = (__u64 *)&masked;

	if (!mask || !mask->mask_id_be)
		return NULL;
#pragma unroll
	for (unsigned int i = 0; i < KEY_WORDS; i++)
		out[i] = words[i] & bits[i];
	masked.mask_id_be = bpf_htons(index + 1);
	struct flow_entry *entry = bpf_map_lookup_elem(&megaflows, &masked);
	if (!entry || (entry->epoch != (__u32)epochs && entry->epoch != epochs >> 32))
		return NULL;
	return entry;
}

static __always_inline struct flow_entry *find(const struct flow_key *key, const struct config *config)
{
	__u32 mask_count = config->mask_count, hit = 0;
	__u64 epochs = (__u64)config->adopted_epoch << 32 | config->epoch;
	struct flow_entry *entry;

	if (mask_count == 1)
		return look_up(key, 0, epochs);
	__u32 slot = hash_of(key) % CACHE_SIZE;
	__u32 *cached = bpf_map_lookup_elem(&mask_cache, &slot);
	if (!cached)
		return NULL;
	hit = *cached;
	if (hit && hit <= MAX_MASKS) {
		entry = look_up(key, hit - 1, epochs);
		if (entry)
			return entry;
	}
	for (__u32 i = 0; i < MAX_MASKS && i < mask_count; i++) {
		if (i + 1 == hit)
			continue;
		entry = look_up(key, i, epochs);
		if (entry) {
			*cached = i + 1;
			return entry;
		}
	}
	return NULL;
}

static __always_inline void credit(const struct flow_entry *entry, const struct packet *packet)
{
	__u32 slot = entry->slot;
	struct flow_stats *counted = bpf_map_lookup_elem(&stats, &slot);

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
	packet->port_slot = port->slot;
	packet->bytes = skb->len + (skb->vlan_present ? TAG_SIZE : 0);
	packet->segments = skb->gso_segs > 1 ? skb->gso_segs : 1;
	struct port_stats *counted = bpf_map_lookup_elem(&port_stats, &packet->port_slot);
	if (counted) {
		counted->rx_packets += packet->segments;
		counted->rx_bytes += packet->bytes;
	}
	return 1;
}

SEC("tc")
int fastpath(struct __sk_buff *skb)
{
	struct packet packet = {};
	__u32 zero = 0;
	struct config *now = bpf_map_lookup_elem(&config, &zero);

	if (!now || !receive(skb, &packet)) {
		count(VERDICT_INPUT_NO_PORT);
		return TC_ACT_SHOT;
	}
	parse(skb, &packet);
	struct flow_entry *entry = packet.cursor.lost ? NULL : find(&packet.key, now);
	if (!entry) {
		send_up(skb, &packet, UPCALL_MISS);
		count(packet.cursor.lost ? VERDICT_NOT_UNDERSTOOD : VERDICT_MISS);
		return TC_ACT_SHOT;
	}
	count(VERDICT_MEGAFLOW_HIT);
	credit(entry, &packet);
	return run(skb, &packet, entry);
}

/* Some helpers are for GPL-compatible programs only, hence the choice of licences. */
char _license[] SEC("license") = "GPL";
