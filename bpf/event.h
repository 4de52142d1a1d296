/* SPDX-License-Identifier: GPL-2.0-only */
/* What happens on a packet's way, counted. */
#pragma once

#include "maps.h"
#include "packet.h"

static __always_inline void count_event(enum event event)
{
	__u32 key = event;
	__u64 *count = bpf_map_lookup_elem(&events, &key);

	if (count)
		*count += 1;
}

/* On this packet's way: a tracer is told. */
static __always_inline void meet(struct packet *pkt, enum event event)
{
	pkt->met |= 1 << event;
	count_event(event);
}
