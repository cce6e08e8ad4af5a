/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* Addresses, and how the map of stations is asked for one. */
#ifndef INBAND_STATIONS_H
#define INBAND_STATIONS_H

#include "maps.h"

#define GROUP_BIT 1

static __always_inline bool is_address(const __u8 *one, const __u8 *other)
{
	return *(const __u32 *)one == *(const __u32 *)other && *(const __u16 *)(one + 4) == *(const __u16 *)(other + 4);
}

static __always_inline struct station_key station_key(const __u8 *mac, __be16 vlan_be)
{
	struct station_key key = { .vlan_be = vlan_be & bpf_htons(0x0fff) };

	__builtin_memcpy(key.mac, mac, 6);
	return key;
}

#endif
