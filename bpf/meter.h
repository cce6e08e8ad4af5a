/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Meters: token buckets that packets pass, or not, or with a worse drop precedence (OpenFlow 1.3.5, 5.7). The twin of
 * inband/table/meters.py, in whole numbers.
 *
 * A band's tokens are so small that it gets its rate's number of them each nanosecond: a millionth of a bit for rates
 * in kilobits per second, a thousand-millionth of a packet for those in packets. So nothing is lost to rounding, and
 * the deepest bucket that OpenFlow can ask for, 2^32 kilobits, is less than 2^62 of them.
 *
 * A packet larger than a whole bucket passes when the bucket is full, and leaves it in debt.
 *
 * Tokens are added and taken by atomic operations, without a lock, which would cost as much as all the rest. CPUs that
 * look at the same instant may each take the last tokens; the debt is paid before anything else passes.
 */
#ifndef INBAND_METER_H
#define INBAND_METER_H

#include "maps.h"
#include "parse.h"

/* What a meter says of a packet; above 0: by how many levels its drop precedence is to be worse. */
enum { METER_PASS = 0, METER_DROP = -1 };

/* What a band got in this time. Two CPUs that refill at once may leave some too much in it, or too little, once. */
static __always_inline void refill(struct meter_band *band, __u64 elapsed_ns)
{
	__s64 missing = band->depth - band->tokens;

	if (!band->rate || missing <= 0)
		return;
	__s64 gets = elapsed_ns < (__u64)missing / band->rate ? elapsed_ns * band->rate : missing;
	__sync_fetch_and_add(&band->tokens, gets);
}

/* What a packet must find in a bucket: no more than fits in. */
static __always_inline __s64 needed(const struct meter_band *band, __s64 size)
{
	return size < band->depth ? size : band->depth;
}

/* Whether some band has too few tokens for this packet. */
static __always_inline bool is_short(const struct meter *meter, __s64 size)
{
	for (__u32 i = 0; i < MAX_BANDS && i < meter->band_count; i++)
		if (meter->bands[i].tokens < needed(&meter->bands[i], size))
			return true;
	return false;
}

/*
 * The time since it was refilled last; whoever gets it refills it, and no one else does for the same time. The clock
 * costs as much as all the rest. So it is read once per tick while there are tokens: what came since is not lost, but
 * of a bucket that was full meanwhile the burst may be longer by what comes in a tick.
 */
static __always_inline __u64 take_elapsed(struct meter *meter, __s64 size)
{
	__u32 tick = bpf_jiffies64();

	if (meter->tick == tick && !is_short(meter, size))
		return 0;
	meter->tick = tick;
	__u64 now = bpf_ktime_get_ns(), before = meter->filled_ns;

	if (now <= before || __sync_val_compare_and_swap(&meter->filled_ns, before, now) != before)
		return 0;
	return now - before;
}

static __always_inline void credit_meter(__u32 place, __u32 packets, __u32 bytes)
{
	struct meter_count *counted = bpf_map_lookup_elem(&meter_counts, &place);

	if (!counted)
		return;
	__sync_fetch_and_add(&counted->packets, packets);
	__sync_fetch_and_add(&counted->bytes, bytes);
}

/* Tokens of every band that has enough are taken; of those that have not, the one with the highest rate decides. */
static __always_inline int ask_meter(__u32 meter_id, __u32 packets, __u32 bytes)
{
	struct meter *meter = bpf_map_lookup_elem(&meters, &meter_id);
	const struct meter_band *deciding = NULL;

	if (!meter)
		return METER_PASS;
	__s64 size = (__u64)packets * meter->packet_size + (__u64)bytes * meter->byte_size;
	__u64 elapsed_ns = take_elapsed(meter, size);

	for (__u32 i = 0; i < MAX_BANDS && i < meter->band_count; i++) {
		struct meter_band *band = &meter->bands[i];

		if (elapsed_ns)
			refill(band, elapsed_ns);
		if (band->tokens >= needed(band, size))
			__sync_fetch_and_add(&band->tokens, -size);
		else if (band->rate > (deciding ? deciding->rate : 0))
			deciding = band;
	}

	credit_meter(meter->count_at, packets, bytes);
	if (!deciding)
		return METER_PASS;
	credit_meter(deciding->count_at, packets, bytes);
	return deciding->levels ? (int)deciding->levels : METER_DROP;
}

/* The DSCP whose drop precedence is so many levels worse, at most 3; only assured forwarding has one (RFC 2597). */
static __always_inline __u8 worse_precedence(__u8 dscp, __u32 levels)
{
	__u32 af_class = dscp >> 3, precedence = (dscp >> 1 & 3) + levels;

	if (dscp & 1 || af_class < 1 || af_class > 4 || !(dscp >> 1 & 3))
		return dscp;
	return af_class << 3 | (precedence > 3 ? 3 : precedence) << 1;
}

#endif
