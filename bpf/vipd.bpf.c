// SPDX-License-Identifier: GPL-2.0-only
/* The pipeline: a list of stages, one exit. Every rule is in the stage's own file. */
#include "packet.h"

#include "account.h"
#include "parse.h"
#include "lookup.h"
#include "schedule.h"
#include "forward.h"
#include "icmp.h"
#include "sweep.h"

/* Map values hold these as __u8, which would leave the enums out of the BTF. */
const struct {
	enum outcome outcome;
	enum event event;
	enum method method;
	enum scheduler scheduler;
	enum connection_state state;
	enum connection_flag connection_flag;
	enum server_status status;
	enum service_flag service_flag;
	enum next_hop_kind next_hop_kind;
	enum interface_flag interface_flag;
	enum life_shift life_shift;
	enum limits limits;
} abi_enums SEC(".rodata.abi") = {};

static __always_inline enum outcome known_or_new(struct xdp_md *ctx, struct packet *pkt)
{
	enum outcome why = lookup(pkt);

	if (why == CONTINUE && pkt->removed && pkt->connection) {
		connection_end(pkt->position, *(volatile __u64 *)&pkt->connection->life);
		return reply_refused(ctx, pkt, REPLY_RESET_SERVER_REMOVED,
				     REPLY_UNREACHABLE_SERVER_REMOVED);
	}
	if (why == CONTINUE && !pkt->connection)
		why = schedule(ctx, pkt);
	return why == CONTINUE ? forward(ctx, pkt) : why;
}

SEC("xdp.frags")
int director(struct xdp_md *ctx)
{
	struct packet pkt;
	enum outcome why = parse(ctx, &pkt);

	if (why == CONTINUE)
		why = pkt.icmp ? icmp(ctx, &pkt) : known_or_new(ctx, &pkt);
	return account(&pkt, why);
}

SEC("xdp")
int start_sweeper(struct xdp_md *ctx)
{
	(void)ctx;
	return sweep_start() ? XDP_ABORTED : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
