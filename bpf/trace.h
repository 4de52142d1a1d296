/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells a tracer of the packets that it asked for, one record each by a ring buffer.
 * Knows what the stages wrote down and decides nothing; a packet never waits for it.
 */
#pragma once

#include "connection.h"
#include "maps.h"
#include "packet.h"

/* Outcomes of frames that are no longer as they came: all before PASS, and REPLY. */
#define TRACE_CHANGED                                                                              \
	(((1ULL << PASS_LOCAL_SERVER) - 1) |                                                       \
	 ((1ULL << DROP_MALFORMED) - (1ULL << REPLY_RESET_NO_SERVER)))

static __always_inline int trace_differs(const struct addr *a)
{
	const __u64 *word = (const __u64 *)a, *net = (const __u64 *)&tracer.net;
	const __u64 *mask = (const __u64 *)&tracer.mask;

	/* The half that tells the most, first. */
	return (word[1] ^ net[1]) & mask[1] || (word[0] ^ net[0]) & mask[0];
}

/* 0 where this half of the address fits; two of them can be multiplied. */
static __always_inline __u64 trace_half(const struct addr *a, __u32 by)
{
	__u64 x = ((const __u64 *)a)[by & TRACE_BY_UPPER_HALF ? 0 : 1];

	x = (x ^ tracer.half_net) & tracer.half_mask;
	return (__u32)(x | x >> 32);
}

/* What costs the least and rules out the most, with few branches for the verifier to
 * follow; trace_wants has the last word.
 */
static __always_inline int trace_may_want(const struct packet *pkt, __u32 by)
{
	if (by & TRACE_BY_SERVICE) {
		__u32 service = pkt->service_id;

		/* The verifier of kernel 6.1 loses the bound that clang 14 knows. */
		asm volatile("%0 &= 16383" : "+r"(service));
		if (!(tracer.services[service >> 6] >> (service & 63) & 1))
			return 0;
	}
	return !(by & TRACE_BY_CLIENT) ||
	       !(trace_half(&pkt->flow.source, by) * trace_half(&pkt->flow.destination, by)) ||
	       pkt->icmp;
}

static __always_inline const struct connection *trace_connection(const struct told *told)
{
	const struct connection *conn = told->known ? connection_at(told->position) : NULL;

	/* Else clang 14 adds before it asks, which the verifier refuses. */
	asm volatile("" : "+r"(conn));
	return conn;
}

/* Whether it comes from or goes to where it should; an ICMP error is also its connection's. */
static __always_inline int trace_concerns(const struct told *told)
{
	const struct connection *conn;

	if (!trace_differs(&told->flow.source) || !trace_differs(&told->flow.destination))
		return 1;
	conn = trace_connection(told);
	return conn &&
	       (!trace_differs(&conn->flow.source) || !trace_differs(&conn->flow.destination));
}

/* All that trace_may_want has not looked at. */
static __always_inline int trace_wants(const struct told *told)
{
	__u32 server = told->real_server_id;

	asm volatile("%0 &= 65535" : "+r"(server));
	return tracer.servers[server >> 6] >> (server & 63) & 1 && trace_concerns(told);
}

/* The frame's first bytes into this processor's record. */
static __always_inline void trace_frame(struct xdp_md *ctx, struct trace_record *record, __u32 most)
{
	__u32 length = bpf_xdp_get_buff_len(ctx);

	record->traced.came = length;
	record->traced.kept = 0;
	if (most > length)
		most = length;
	if (!most)
		return;
	/* 1 to TRACE_FRAME, in words that the verifier of kernel 6.1 understands. */
	most--;
	asm volatile("%0 &= 2047" : "+r"(most));
	most++;
	if (!bpf_xdp_load_bytes(ctx, 0, record->frame, most))
		record->traced.kept = most;
}

__noinline int trace_frame_now(struct xdp_md *ctx, const struct told *told)
{
	struct trace_record *record;
	__u32 zero = 0;

	/* Which server it will be need not be known yet. */
	if (!told || !trace_concerns(told))
		return 0;
	record = bpf_map_lookup_elem(&trace_records, &zero);
	if (record)
		trace_frame(ctx, record, tracer.frame);
	return 0;
}

/* Before the first change of a frame: who asked for it gets it as it came. */
static __always_inline void trace_keep(struct xdp_md *ctx, struct packet *pkt)
{
	__u32 by = *(volatile __u32 *)&tracer.keep;

	if (!by)
		return;
	if (trace_may_want(pkt, by))
		trace_frame_now(ctx, &pkt->told);
	else
		pkt->met |= UNWANTED;
}

/* Whether this packet is one of those that sampling and rate leave. */
static __always_inline int trace_admits(struct trace_count *count)
{
	count->matched++;
	if (tracer.sample > 1 && count->matched % tracer.sample) {
		count->sampled_out++;
		return 0;
	}
	if (tracer.share) {
		/* Once the share is spent, processors only read it. */
		if (*(volatile __s32 *)&tracer.credit <= 0) {
			count->limited++;
			return 0;
		}
		__sync_fetch_and_sub(&tracer.credit, 1);
	}
	return 1;
}

static __always_inline __u8 trace_flags(const struct told *told)
{
	return (told->known ? TRACED_KNOWN : 0) | (told->reply ? TRACED_REPLY : 0) |
	       (told->fragment == FRAGMENT_FIRST ? TRACED_FIRST_FRAGMENT : 0) |
	       (told->fragment == FRAGMENT_LATER ? TRACED_LATER_FRAGMENT : 0);
}

/* A reply's entry has no state of its own: it is the client's entry that has. */
static __always_inline __u8 trace_state(const struct told *told, const struct connection *conn)
{
	if (conn && told->reply) {
		conn = connection_at(conn->twin - 1);
		asm volatile("" : "+r"(conn));
	}
	return conn ? life_state(conn->life) : STATE_NONE;
}

__noinline int trace_tell(struct xdp_md *ctx, const struct told *told, __u32 why)
{
	__u32 zero = 0, unchanged = !(TRACE_CHANGED >> (why & 63) & 1), kept;
	const struct connection *conn;
	struct trace_record *record;
	struct trace_count *count;

	if (!told || !trace_wants(told))
		return 0;
	record = bpf_map_lookup_elem(&trace_records, &zero);
	count = bpf_map_lookup_elem(&trace_counts, &zero);
	if (!record || !count || !trace_admits(count))
		return 0;
	if (unchanged)
		trace_frame(ctx, record, tracer.frame);
	conn = trace_connection(told);
	record->traced.at = bpf_ktime_get_ns();
	record->traced.flow = told->flow;
	record->traced.about = conn ? conn->flow : told->flow;
	record->traced.cpu = bpf_get_smp_processor_id();
	record->traced.ingress = told->ingress;
	record->traced.egress = told->egress;
	record->traced.service = told->service_id;
	record->traced.real_server = told->real_server_id;
	record->traced.left = bpf_xdp_get_buff_len(ctx);
	record->traced.l3_length = told->l3_length;
	record->traced.events = told->met;
	record->traced.outcome = why;
	record->traced.flags = trace_flags(told) | (told->bare && unchanged ? TRACED_BARE : 0);
	record->traced.segment = told->segment;
	record->traced.state = trace_state(told, conn);
	bpf_xdp_load_bytes(ctx, 0, record->traced.macs, sizeof(record->traced.macs));
	kept = record->traced.kept;
	if (kept > TRACE_FRAME)
		kept = TRACE_FRAME;
	if (bpf_ringbuf_output(&traces, record, sizeof(record->traced) + kept, 0))
		count->lost++;
	record->traced.kept = 0;
	return 0;
}

/* At the very end: the frame is as it leaves. */
static __always_inline void trace(struct xdp_md *ctx, struct packet *pkt, enum outcome why)
{
	__u32 by = *(volatile __u32 *)&tracer.on;

	if (by && tracer.outcomes >> why & 1 && !(pkt->met & UNWANTED) && trace_may_want(pkt, by))
		trace_tell(ctx, &pkt->told, why);
}

#define TRACE_PATIENCE 2000000000LL /* ns */

/* At each beat of the sweeper: a tracer that says nothing any more is gone. */
static __always_inline void trace_beat(__u64 now)
{
	if (!tracer.on)
		return;
	if (tracer.heard != tracer.beat) {
		tracer.heard = tracer.beat;
		tracer.heard_at = now;
	} else if ((__s64)(now - tracer.heard_at) > TRACE_PATIENCE) {
		tracer.on = tracer.keep = 0;
	}
	if ((__s64)(now - tracer.renewed_at) >= (__s64)tracer.window) {
		tracer.renewed_at = now;
		tracer.credit = tracer.share;
	}
}
