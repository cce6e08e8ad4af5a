/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Decides about a frame that no megaflow fits by the rules of the tables, where they say it all: so it does not wait for
 * the switch, which is told afterwards, caches the decision and learns (docs/decisions/21).
 *
 * A rule says what to do, that NORMAL does it, that the switch decides, or what its part is and in which table to go on
 * (walk.h, groups.h).
 *
 * Invariants:
 * - The decision is the switch's: what is not sure goes up. Control frames always do.
 * - A frame sees one generation of the rules: where they have changed on its way it goes up.
 * - What is decided here is counted here, and never by the switch as well.
 *
 * While the switch is silent, which shows in a ring that is not read, control frames are data like others, hosts may
 * move, and new ones are learned untold. What rules of in-band control match that are here goes up all the same.
 */
#ifndef INBAND_TABLES_H
#define INBAND_TABLES_H

#include "actions.h"
#include "lookup.h"
#include "maps.h"
#include "parse.h"
#include "rules.h"
#include "stations.h"
#include "upcall.h"
#include "walk.h"

/* Probes for loops (inband/stp/loop_watch.py). */
#define ETH_PROBE 0x88b5
/* So much of a frame is told, and no headers may be behind it. */
#define TOLD_BYTES (UPCALL_SMALL - sizeof(struct upcall))
#define LONGEST_TRANSPORT 20

/* Whether what waits in a ring has waited for too long. The position moves with each record that is read. */
static __always_inline bool is_unread(void *ring, __u32 which)
{
	struct attention *last = bpf_map_lookup_elem(&attention, &which);

	if (!last)
		return false;
	if (!bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA)) {
		last->since_ns = 0;
		return false;
	}
	__u64 position = bpf_ringbuf_query(ring, BPF_RB_CONS_POS), now = bpf_ktime_get_coarse_ns();
	if (!last->since_ns || last->position != position) {
		last->position = position;
		last->since_ns = now;
		return false;
	}
	return now > last->since_ns + SILENT_MS * NS_PER_MS;
}

/* Whether rules alone decide about it: no hook of the switch has to see it, and what is told of it has its headers. */
static __always_inline bool is_plain(const struct packet *packet)
{
	const struct flow_key *key = &packet->key;

	return !key->ip_frag && key->eth_type_be != bpf_htons(ETH_PROBE) && !is_control(key) &&
	       packet->cursor.at + LONGEST_TRANSPORT <= TOLD_BYTES;
}

/* Tell the switch of a frame that is about to leave; whether it will hear of it. The frame stays as it is. */
__noinline int tell(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 length = skb->len;

	if (!packet || bpf_ringbuf_query(&upcalls_data, BPF_RB_AVAIL_DATA) > TOLD_BACKLOG)
		return 0;
	struct upcall *upcall = bpf_ringbuf_reserve(&upcalls_data, UPCALL_SMALL, 0);
	if (!upcall)
		return 0;
	describe(skb, packet, upcall);
	upcall->reason = UPCALL_DECIDED;
	upcall->checksum_at = 0;
	upcall->gso_size = 0;
	if (length > TOLD_BYTES)
		length = TOLD_BYTES;
	if (!copy_frame(skb, upcall, length, UPCALL_SMALL)) {
		bpf_ringbuf_discard(upcall, 0);
		return 0;
	}
	bpf_ringbuf_submit(upcall, 0);
	return 1;
}

static __always_inline bool tell_in_pace(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 slot = packet->port_slot;
	__u64 *due = bpf_map_lookup_elem(&told_pace, &slot);

	if (keeps_pace(packet, due, TOLD_PER_S, TOLD_BURST_MS) && tell(skb, packet))
		return true;
	count(VERDICT_NOT_TOLD);
	return false;
}

static __always_inline void learn(struct __sk_buff *skb, const struct packet *packet, const struct station_key *from,
				  struct tables *now, bool is_alone)
{
	__u32 slot = packet->port_slot;
	__u64 *due = bpf_map_lookup_elem(&learned_pace, &slot);
	struct station station = { .slot = slot, .used_ns = bpf_ktime_get_ns() };

	/* The switch must hear of it, for it forgets it in time; the next one finds it. */
	if (!keeps_pace(packet, due, LEARNED_PER_S, LEARNED_BURST_MS) || (!is_alone && !tell(skb, packet)))
		count(VERDICT_NOT_LEARNED);
	else if (bpf_map_update_elem(&stations, from, &station, BPF_NOEXIST) < 0)
		now->has_left_out = 1;
}

static __always_inline void confirm(struct station *station)
{
	__u64 tick = bpf_jiffies64();

	if (station->tick != tick) {
		station->tick = tick;
		station->used_ns = bpf_ktime_get_coarse_ns();
	}
}

static __always_inline bool is_local(const struct station_key *key, const struct tables *now)
{
	return now->local_slot && is_address(key->mac, now->local_mac);
}

/* Where NORMAL sends a packet: a slot; 0: everywhere. */
static __always_inline __u32 destination(const struct flow_key *key, const struct tables *now)
{
	struct station_key to = station_key(key->eth_dst, key->vlan_be);

	if (to.mac[0] & GROUP_BIT)
		return 0;
	if (is_local(&to, now))
		return now->local_slot;
	struct station *station = bpf_map_lookup_elem(&stations, &to);
	return station ? station->slot : 0;
}

/* To every port that a flood leaves by: as run_ops, but for the stack that more kinds of ops would take. */
__noinline int flood(struct __sk_buff *skb, struct packet *packet, const struct inlet *inlet, int is_last)
{
	if (!packet || !inlet)
		return TC_ACT_SHOT;
	__u32 count = inlet->flood.op_count;

	for (__u32 i = 0; i < MAX_OPS && i < count; i++) {
		int result = run_output(skb, packet, &inlet->flood.ops[i], is_last && i + 1 == count);
		if (i + 1 == count)
			return result;
	}
	return TC_ACT_SHOT;
}

/* Send it by an op that says to which one port, or everywhere (port 0). */
__noinline int send_normally(struct __sk_buff *skb, struct packet *packet, const struct flow_key *key,
			     const struct op *op, int is_last)
{
	if (!packet || !key || !op)
		return TC_ACT_SHOT;
	if (op->arg16 == packet->port_slot || is_link_local(key)) {
		count(VERDICT_DECIDED_NORMAL_DROPPED);
		return TC_ACT_SHOT;
	}
	if (op->arg16)
		return run_output(skb, packet, op, is_last);
	__u32 slot = packet->port_slot;
	return flood(skb, packet, bpf_map_lookup_elem(&inlets, &slot), is_last);
}

/* The packet that this CPU has on its way through the tables. */
static __always_inline struct walk *walk_of_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&walks, &zero);
}

/* Count a packet to the rule of this slot, or to those that it came by (0). */
static __always_inline void credit_rules(__u32 slot, const struct packet *packet)
{
	if (slot)
		credit(bpf_map_lookup_elem(&rule_stats, &slot), packet);
	else
		credit_walk(walk_of_cpu(), packet);
}

/*
 * inband/pipeline/normal.py, for ports without settings: learn, and say where to send it (send_normally), or GOES_UP.
 * ``key`` is the packet's as it is then; ``slot`` as for credit_rules.
 */
__noinline int learn_normally(struct __sk_buff *skb, const struct packet *packet, const struct flow_key *key,
			      __u32 slot, int is_alone)
{
	__u32 zero = 0;
	struct tables *now = bpf_map_lookup_elem(&tables, &zero);

	if (!packet || !key || !now)
		return GOES_UP;
	struct station_key from = station_key(key->eth_src, key->vlan_be);
	__u32 to = destination(key, now);

	bool may_be_known = now->has_left_out && !is_alone && !(key->eth_dst[0] & GROUP_BIT);
	if (to ? !has_flag(to, INLET_SENDS) : may_be_known || !has_flag(packet->port_slot, INLET_FLOODS)) {
		count(VERDICT_UP_NORMAL);
		return GOES_UP;
	}
	bool teaches = !(from.mac[0] & GROUP_BIT) && !is_local(&from, now);
	struct station *station = teaches ? bpf_map_lookup_elem(&stations, &from) : NULL;
	if (station && station->slot != packet->port_slot) {
		if (!is_alone) {
			count(VERDICT_UP_MOVED);
			return GOES_UP;
		}
		if (!station->is_pinned)
			station->slot = packet->port_slot;
	}
	count(VERDICT_DECIDED_NORMAL);
	credit_rules(slot, packet);
	if (teaches && !station) {
		learn(skb, packet, &from, now, is_alone);
	} else {
		if (station)
			confirm(station);
		if (!is_alone)
			tell_in_pace(skb, packet);
	}
	return to;
}

static __always_inline bool outputs_to(const struct flow_entry *entry, __u32 slot)
{
	for (__u32 i = 0; i < MAX_OPS && i < entry->op_count; i++)
		if (is_output(&entry->ops[i]) && entry->ops[i].arg16 == slot)
			return true;
	return false;
}

__noinline int do_ops(struct __sk_buff *skb, struct packet *packet, const struct rule *rule, int is_alone)
{
	if (!packet || !rule)
		return GOES_UP;
	__u32 slot = rule->entry.slot;
	if (outputs_to(&rule->entry, packet->port_slot)) {
		count(VERDICT_UP_BY_RULE);
		return GOES_UP;
	}
	count(VERDICT_DECIDED_BY_RULE);
	credit(bpf_map_lookup_elem(&rule_stats, &slot), packet);
	if (!is_alone)
		tell_in_pace(skb, packet);
	if (!rule->entry.op_count) {
		count(VERDICT_DROPPED_BY_FLOW);
		return TC_ACT_SHOT;
	}
	return run_ops(skb, packet, &rule->entry, 0);
}

/* A packet that no rule of table 0 matches: the program's answer, or GOES_UP. */
__noinline int drop_missed(struct __sk_buff *skb, const struct packet *packet, __u32 generation, int is_alone)
{
	__u32 zero = 0;
	struct tables *now = bpf_map_lookup_elem(&tables, &zero);

	if (!packet || !now)
		return GOES_UP;
	__u32 slot = now->misses[0];
	bool is_stale = *(volatile __u32 *)&now->generation != generation;
	if (!slot || is_stale) {
		count(is_stale ? VERDICT_UP_NO_TABLES : VERDICT_UP_NO_RULE);
		return GOES_UP;
	}
	count(VERDICT_DECIDED_BY_RULE);
	count(VERDICT_DROPPED_BY_FLOW);
	credit(bpf_map_lookup_elem(&rule_stats, &slot), packet);
	if (is_alone)
		count(VERDICT_DECIDED_ALONE);
	else
		tell_in_pace(skb, packet);
	return TC_ACT_SHOT;
}

/* As run_op, for run_with_normal. */
__noinline int run_op_or_normal(struct __sk_buff *skb, struct packet *packet, const struct walk *walk, __u32 at,
				__u32 to)
{
	if (!packet || !walk || at >= MAX_OPS)
		return TC_ACT_SHOT;
	if (walk->entry.ops[at].kind != OP_NORMAL)
		return run_op(skb, packet, &walk->entry, at);
	struct op known = { .kind = walk->sends ? OP_OUTPUT : OP_OUTPUT_UNICAST, .arg16 = to };
	bool is_last = at + 1 == walk->entry.op_count;
	int result = send_normally(skb, packet, &walk->seen_by_normal, &known, is_last);
	return is_last ? result : OPS_GO_ON;
}

/* As run_ops, for a packet's way on which NORMAL sends it: to a slot, or everywhere (0). */
__noinline int run_with_normal(struct __sk_buff *skb, struct packet *packet, const struct walk *walk, __u32 to)
{
	if (!packet || !walk)
		return TC_ACT_SHOT;
	__u32 op_count = walk->entry.op_count;

	for (__u32 i = 0; i < MAX_OPS && i < op_count; i++) {
		int result = run_op_or_normal(skb, packet, walk, i, to);
		if (result != OPS_GO_ON)
			return result;
	}
	return TC_ACT_SHOT;
}

/* Do what the rules on a packet's way have said. */
__noinline int do_walk(struct __sk_buff *skb, struct packet *packet, struct walk *walk, int is_alone)
{
	if (!packet || !walk)
		return GOES_UP;
	walk->entry.op_count = walk->length;
	if (walk->is_normal) {
		int to = learn_normally(skb, packet, &walk->seen_by_normal, 0, is_alone);
		return to < 0 ? GOES_UP : run_with_normal(skb, packet, walk, to);
	}
	count(VERDICT_DECIDED_BY_RULE);
	credit_walk(walk, packet);
	if (!is_alone)
		tell_in_pace(skb, packet);
	if (!walk->length) {
		count(VERDICT_DROPPED_BY_FLOW);
		return TC_ACT_SHOT;
	}
	return run_ops(skb, packet, &walk->entry, 0);
}

/* Have a packet for which ``decide`` said GOES_ON go through the tables; its answer is as that one's. */
__noinline int decide_on_way(struct __sk_buff *skb, struct packet *packet, const struct config *config)
{
	__u32 zero = 0;
	struct tables *now = bpf_map_lookup_elem(&tables, &zero);
	struct walk *walk = walk_of_cpu();

	if (!packet || !config || !now || !walk)
		return GOES_UP;
	walk->is_busy = 1;
	begin_walk(walk, packet);
	int end = walk_on(walk, packet, config, now), result = GOES_UP;
	if (*(volatile __u32 *)&now->generation != walk->generation)
		count(VERDICT_UP_NO_TABLES);
	else if (end == ENDS)
		result = do_walk(skb, packet, walk, walk->is_alone);
	else
		count(end == FINDS_NO_RULE ? VERDICT_UP_NO_RULE : VERDICT_UP_BY_RULE);
	if (walk->is_alone && result != GOES_UP)
		count(VERDICT_DECIDED_ALONE);
	walk->is_busy = 0;
	return result;
}

/* Note where the way through the tables begins; whether it can. */
__noinline int is_noted(__u32 first, __u32 generation, int is_alone)
{
	struct walk *walk = walk_of_cpu();

	if (!walk || walk->is_busy)
		return 0;
	walk->first = first;
	walk->generation = generation;
	walk->is_alone = is_alone;
	return 1;
}

/* No piece of a packet is matched by ports, which only the first one has (inband/pipeline/fragments.py). */
static __always_inline void forget_ports_of_fragment(struct packet *packet)
{
	if (packet->key.ip_frag)
		__builtin_memset(&packet->key.transport, 0, sizeof(packet->key.transport));
}

/* What becomes of a frame that no megaflow fits: GOES_UP, GOES_ON, or the program's answer if it is dealt with. */
__noinline int decide(struct __sk_buff *skb, struct packet *packet, const struct config *config)
{
	__u32 zero = 0;
	struct tables *now = bpf_map_lookup_elem(&tables, &zero);

	if (!packet || !config || !now)
		return GOES_UP;
	__u32 generation = *(volatile __u32 *)&now->generation;
	if (!generation) {
		count(VERDICT_UP_NO_TABLES);
		return GOES_UP;
	}
	bool is_alone = is_unread(&upcalls_control, 0) || is_unread(&upcalls_data, 1);
	if ((!is_plain(packet) && !is_alone) || !has_flag(packet->port_slot, INLET_TAKES)) {
		count(VERDICT_UP_SPECIAL);
		return GOES_UP;
	}
	if (is_alone)
		forget_ports_of_fragment(packet);
	__u32 place = classify(&packet->key, NULL, config, now->masks[0].first, now->masks[0].count);
	struct rule *rule = place ? rule_of_mask(&packet->key, NULL, config, place - 1) : NULL;
	if (!rule)
		return drop_missed(skb, packet, generation, is_alone);
	__u32 decision = rule->decision;
	if (*(volatile __u32 *)&now->generation != generation) {
		count(VERDICT_UP_NO_TABLES);
		return GOES_UP;
	}
	if (is_alone && (decision == RULE_NORMAL || decision == RULE_OPS))
		count(VERDICT_DECIDED_ALONE);
	if (decision == RULE_NORMAL) {
		int to = learn_normally(skb, packet, &packet->key, rule->entry.slot, is_alone);
		struct op known = { .kind = OP_OUTPUT_UNICAST, .arg16 = to };
		return to < 0 ? GOES_UP : send_normally(skb, packet, &packet->key, &known, true);
	}
	if (decision == RULE_OPS)
		return do_ops(skb, packet, rule, is_alone);
	if (decision == RULE_VISIT && is_noted(place - 1, generation, is_alone))
		return GOES_ON;
	count(VERDICT_UP_BY_RULE);
	return GOES_UP;
}

#endif
