/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Every map of the program, each with one sentence. Their names are what the switch finds them by. */
#ifndef INBAND_MAPS_H
#define INBAND_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

/* The epoch and the number of masks; written by the switch through shared memory, each in one store. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct config);
} config SEC(".maps");

/* The masks of all megaflows; one whose mask_id is 0 is not in use. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_MASKS);
	__type(key, __u32);
	__type(value, struct mask);
} masks SEC(".maps");

/* The megaflows, by the hash of masked key and mask; memory is taken as they come. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_MEGAFLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct flow_entry);
} megaflows SEC(".maps");

/* What megaflows counted, apart from them so that the switch reads it through shared memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_MEGAFLOWS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow_stats);
} stats SEC(".maps");

/* The rules as a whole; written by the switch through shared memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tables);
} tables SEC(".maps");

/* The masks of all rules: table after table, in the order of their best rank. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULE_MASKS);
	__type(key, __u32);
	__type(value, struct rule_mask);
} rule_masks SEC(".maps");

/* Of all rules with one mask and value the best, by the hash of masked key and mask. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct rule);
} rules SEC(".maps");

/* A bit for each place of rules' hashes, in words: where it is not set, there is none (rules.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULE_FILTER_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} rule_filter SEC(".maps");

/* The groups that rules name, by number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_GROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct group);
} groups SEC(".maps");

/* Their buckets, by the slot of their counters. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* What rules counted, and buckets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct flow_stats);
} rule_stats SEC(".maps");

/* The packet that a CPU has on its way through the tables. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

/* What NORMAL knows of addresses: the switch writes what it learns, and is told what is learned here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_STATIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct station_key);
	__type(value, struct station);
} stations SEC(".maps");

/* Whether rings are read: that of control, that of data. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct attention);
} attention SEC(".maps");

/* Ports by their slot, as far as the rules go. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct inlet);
} inlets SEC(".maps");

/* The meters that flows use, by number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_METERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct meter);
} meters SEC(".maps");

/* What meters and bands counted, apart from them so that nothing is lost when a meter is changed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_METER_COUNTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct meter_count);
} meter_counts SEC(".maps");

/* Which mask (plus 1) the last packet with this hash of its whole key hit: a hint, never believed without a lookup. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CACHE_SIZE);
	__type(key, __u32);
	__type(value, __u32);
} mask_cache SEC(".maps");

/*
 * Which port an interface is, without a search: at its index modulo the size, where that place was free when the port
 * came.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct port_in);
} ports_near SEC(".maps");

/* The same for every port, by its interface's index. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct port_in);
} ports_in SEC(".maps");

/* Which interface a port's slot is, so that entries need not change when an interface comes back with another index. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct port_out);
} ports_out SEC(".maps");

/* Packets and bytes per port's slot. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, struct port_stats);
} port_stats SEC(".maps");

/* When the last packet of neighbour discovery from a port's slot would have come, had all kept the allowed pace. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} discovery_pace SEC(".maps");

/* The same for frames that stay on a link. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} link_local_pace SEC(".maps");

/* The same for other control frames. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} control_pace SEC(".maps");

/* The same for what the switch is told of a port's packets that are decided here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} told_pace SEC(".maps");

/* The same for stations that are learned here. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_PORTS);
	__type(key, __u32);
	__type(value, __u64);
} learned_pace SEC(".maps");

/* How often each verdict was given. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/* A bit for each port of TCP and UDP that is control traffic. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536 / 64);
	__type(key, __u32);
	__type(value, __u64);
} control_ports SEC(".maps");

/* Frames for the switch that may be control traffic. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, CONTROL_RING);
} upcalls_control SEC(".maps");

/* All other frames for the switch. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DATA_RING);
} upcalls_data SEC(".maps");

static __always_inline void count(__u32 verdict)
{
	__u64 *value = bpf_map_lookup_elem(&verdicts, &verdict);
	if (value)
		*value += 1;
}

#endif
