// SPDX-License-Identifier: GPL-2.0-only
/* The pipeline: a list of stages, one exit. Every rule is in the stage's own file. */
#include "packet.h"

#include "account.h"
#include "parse.h"
#include "lookup.h"
#include "schedule.h"
#include "forward.h"
#include "icmp.h"
#include "point_to_point.h"
#include "sweep.h"

/* Map values hold these as __u8, which would leave the enums out of the BTF. */
const struct {
	enum outcome outcome;
	enum event event;
	enum method method;
	enum scheduler scheduler;
	enum connection_state state;
	enum segment segment;
	enum connection_flag connection_flag;
	enum server_status status;
	enum service_flag service_flag;
	enum next_hop_kind next_hop_kind;
	enum interface_flag interface_flag;
	enum life_shift life_shift;
	enum limits limits;
	enum trace_limits trace_limits;
	enum trace_on trace_on;
	enum traced_flag traced_flag;
} abi_enums SEC(".rodata.abi") = {};

static __always_inline enum outcome known_or_new(struct xdp_md *ctx, struct packet *pkt)
{
	enum outcome why = lookup(pkt);

	if (pkt->connection)
		trace_keep(ctx, pkt);
	if (why == CONTINUE && pkt->removed && pkt->connection) {
		connection_end(pkt->position, *(volatile __u64 *)&pkt->connection->life);
		return reply_refused(ctx, pkt, REPLY_RESET_SERVER_REMOVED,
				     REPLY_UNREACHABLE_SERVER_REMOVED);
	}
	if (why == CONTINUE && !pkt->connection)
		why = schedule(ctx, pkt);
	return why == CONTINUE ? forward(ctx, pkt) : why;
}

static __always_inline enum outcome direct(struct xdp_md *ctx, struct packet *pkt)
{
	enum outcome why = parse(ctx, pkt);

	if (why != CONTINUE)
		return why;
	return pkt->icmp ? icmp(ctx, pkt) : known_or_new(ctx, pkt);
}

SEC("xdp.frags")
int director(struct xdp_md *ctx)
{
	struct packet pkt;
	enum outcome why = direct(ctx, &pkt);

	return account(ctx, &pkt, why);
}

static __always_inline enum outcome direct_packet(struct xdp_md *ctx, struct packet *pkt)
{
	struct arrival arrival;
	enum header header = header_add(ctx, &arrival);
	enum outcome why;

	pkt->ingress = ctx->ingress_ifindex;
	if (header != HEADER_DONE) {
		pkt->bare = 1;
		return header == HEADER_NOT_IP ? PASS_NOT_IP : DROP_NO_ROOM_IN_FRAME;
	}
	why = direct(ctx, pkt);
	switch (action_of(pkt, why)) {
	case XDP_DROP:
		return why;
	case XDP_REDIRECT:
		header = header_repeat(ctx);
		break;
	default:
		header = header_remove(ctx, &arrival);
		pkt->bare = 1;
	}
	return header == HEADER_DONE	? why :
	       header == HEADER_MISREAD ? DROP_NO_ETHERNET :
					  DROP_NO_ROOM_IN_FRAME;
}

/* On devices whose packets have no Ethernet header. */
SEC("xdp.frags")
int director_point_to_point(struct xdp_md *ctx)
{
	struct packet pkt = {};
	enum outcome why = direct_packet(ctx, &pkt);

	return account(ctx, &pkt, why);
}

SEC("xdp")
int start_sweeper(struct xdp_md *ctx)
{
	(void)ctx;
	return sweep_start() ? XDP_ABORTED : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
