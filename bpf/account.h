/* SPDX-License-Identifier: GPL-2.0-only */
/* The one exit: count a packet's outcome and turn it into XDP's action. */
#pragma once

#include "maps.h"
#include "packet.h"
#include "trace.h"

static __always_inline int action_of(const struct packet *pkt, enum outcome why)
{
	if (why < ROUTE_NAT || (why >= REPLY_RESET_NO_SERVER && why < DROP_MALFORMED))
		return pkt->action;
	return why < DROP_MALFORMED ? XDP_PASS : XDP_DROP;
}

static __always_inline int account(struct xdp_md *ctx, struct packet *pkt, enum outcome why)
{
	__u32 key = why;
	__u64 *count = bpf_map_lookup_elem(&outcomes, &key);

	if (count)
		*count += 1;
	trace(ctx, pkt, why);
	return action_of(pkt, why);
}
