/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Finds the rule of a table that decides about a packet. The table's masks are tried in the order of their best rule,
 * each with one lookup, until none that follows can be better.
 */
#ifndef INBAND_RULES_H
#define INBAND_RULES_H

#include "lookup.h"
#include "maps.h"
#include "parse.h"

static __always_inline bool has_flag(__u32 slot, __u32 flag)
{
	struct inlet *inlet = bpf_map_lookup_elem(&inlets, &slot);

	return inlet && inlet->flags & flag;
}

/* The best rule so far. */
struct found {
	__u64 rank;
	__u32 place; /* of its mask, plus 1; 0: none is found */
	__u32 padding;
};

/* As hash_of, of some words of the pipeline's fields. */
static __always_inline __u64 hash_of_fields(const struct pipeline_fields *fields, const struct rule_mask *rule_mask,
					    const struct config *config, unsigned int from, unsigned int to)
{
	const __u64 *words = (const __u64 *)fields, *bits = (const __u64 *)&rule_mask->fields;
	__u64 hash = 0;

#pragma unroll
	for (unsigned int i = from; i < to; i++)
		hash += hash_of_word(words[i] & bits[i], &config->secret[2 * (KEY_WORDS + i)]);
	return hash;
}

/* As difference. */
static __always_inline __u64 difference_of_fields(const struct pipeline_fields *fields,
						  const struct rule_mask *rule_mask, const struct rule *rule,
						  unsigned int from, unsigned int to)
{
	const __u64 *words = (const __u64 *)fields, *bits = (const __u64 *)&rule_mask->fields;
	const __u64 *wanted = (const __u64 *)&rule->fields;
	__u64 bits_that_differ = 0;

#pragma unroll
	for (unsigned int i = from; i < to; i++)
		bits_that_differ |= (words[i] & bits[i]) ^ wanted[i];
	return bits_that_differ;
}

/* ``fields``: NULL in table 0, whose rules look at none. */
static __always_inline __u64 hash_of_rule(const struct flow_key *key, const struct pipeline_fields *fields,
					  const struct rule_mask *rule_mask, const struct config *config)
{
	const struct mask *mask = &rule_mask->mask;
	__u64 hash = hash_of(key, mask, config, 0, SHORT_KEY);

	if (mask->words > SHORT_KEY)
		hash += hash_of(key, mask, config, SHORT_KEY, KEY_WORDS);
	if (!fields || !rule_mask->field_words)
		return hash;
	hash += hash_of_fields(fields, rule_mask, config, 0, 1);
	if (rule_mask->field_words > 1)
		hash += hash_of_fields(fields, rule_mask, config, 1, FIELD_WORDS);
	return hash;
}

/* Whether there may be a rule with this hash. Nearly always where there is none, the map need not be searched. */
static __always_inline bool may_be_there(__u64 hash)
{
	__u32 word = (__u32)(hash >> 32) % RULE_FILTER_WORDS;
	__u64 *bits = bpf_map_lookup_elem(&rule_filter, &word);

	return bits && *bits >> (hash >> 52 & 63) & *bits >> (hash >> 58) & 1;
}

static __always_inline struct rule *look_up_rule(const struct flow_key *key, const struct pipeline_fields *fields,
						 const struct rule_mask *rule_mask, __u64 hash)
{
	const struct mask *mask = &rule_mask->mask;
	struct rule *rule = bpf_map_lookup_elem(&rules, &hash);

	if (!rule || difference(key, mask, &rule->entry, 0, SHORT_KEY))
		return NULL;
	if (mask->words > SHORT_KEY && difference(key, mask, &rule->entry, SHORT_KEY, KEY_WORDS))
		return NULL;
	if (!fields || !rule_mask->field_words)
		return rule;
	if (difference_of_fields(fields, rule_mask, rule, 0, 1))
		return NULL;
	if (rule_mask->field_words > 1 && difference_of_fields(fields, rule_mask, rule, 1, FIELD_WORDS))
		return NULL;
	return rule;
}

/* Try one mask; whether one behind it may have a better rule. */
__noinline int try_mask(const struct flow_key *key, const struct pipeline_fields *fields, const struct config *config,
			__u32 place, struct found *found)
{
	if (!key || !config || !found)
		return 0;
	struct rule_mask *rule_mask = bpf_map_lookup_elem(&rule_masks, &place);
	if (!rule_mask || rule_mask->best_rank <= found->rank)
		return 0;
	__u64 hash = hash_of_rule(key, fields, rule_mask, config);
	if (!may_be_there(hash))
		return 1;
	struct rule *rule = look_up_rule(key, fields, rule_mask, hash);
	if (rule && rule->rank > found->rank) {
		found->rank = rule->rank;
		found->place = place + 1;
	}
	return 1;
}

/* The mask (plus 1) of the rule that decides, of so many masks, or 0. */
__noinline int classify(const struct flow_key *key, const struct pipeline_fields *fields, const struct config *config,
			__u32 first, __u32 count)
{
	struct found found = {};

	if (!key || !config)
		return 0;
	for (__u32 i = 0; i < MAX_RULE_MASKS && i < count; i++)
		if (!try_mask(key, fields, config, first + i, &found))
			break;
	return found.place;
}

/* The rule of one mask for this packet, by the mask's place. */
static __always_inline struct rule *rule_of_mask(const struct flow_key *key, const struct pipeline_fields *fields,
						 const struct config *config, __u32 place)
{
	struct rule_mask *rule_mask = bpf_map_lookup_elem(&rule_masks, &place);

	return rule_mask ? look_up_rule(key, fields, rule_mask, hash_of_rule(key, fields, rule_mask, config)) : NULL;
}

#endif
