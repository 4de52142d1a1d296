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

/* Whether neither end can be a client that is asked for, as one half of the address tells,
 * 1 for the lower; an ICMP error is its connection's too. The shortest way of a packet is a
 * hundred instructions: each that is added here is seen.
 */
static __always_inline int trace_is_of_others(const struct packet *pkt, int half)
{
	__u64 from = ((const __u64 *)&pkt->flow.source)[half];
	__u64 to = ((const __u64 *)&pkt->flow.destination)[half];
	__u64 net = tracer.half_net, mask = tracer.half_mask;

	return (from & mask) != net && (to & mask) != net && !pkt->icmp;
}

static __always_inline int trace_service_fits(const struct packet *pkt)
{
	return tracer.services_modulo >> (pkt->service_id & 63) & 1;
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

/* All that can be said before a server is chosen. */
static __always_inline int trace_may_want(const struct told *told)
{
	__u32 service = told->service_id;

	/* The verifier of kernel 6.1 loses the bound that clang 14 knows. */
	asm volatile("%0 &= 16383" : "+r"(service));
	return tracer.services[service >> 6] >> (service & 63) & 1 && trace_concerns(told);
}

static __always_inline int trace_wants(const struct told *told)
{
	__u32 server = told->real_server_id;

	asm volatile("%0 &= 65535" : "+r"(server));
	return tracer.servers[server >> 6] >> (server & 63) & 1 && trace_may_want(told);
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

	if (!told || !trace_may_want(told))
		return 0;
	record = bpf_map_lookup_elem(&trace_records, &zero);
	if (record)
		trace_frame(ctx, record, tracer.frame);
	return 0;
}

/* Before the first change of a frame: who asked for it gets it as it came. */
static __always_inline void trace_keep(struct xdp_md *ctx, struct packet *pkt)
{
	__u64 keep = *(volatile __u64 *)&tracer.keep;

	if (!keep || ((__s64)keep < 0 && trace_is_of_others(pkt, 1)))
		return;
	if (keep >> TRACE_ON_UPPER_HALF & 1 && trace_is_of_others(pkt, 0))
		return;
	if (trace_service_fits(pkt))
		trace_frame_now(ctx, &pkt->told);
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

_Static_assert(OUTCOME_COUNT <= TRACE_ON_UPPER_HALF, "`on` has no bit left for an outcome");

/* At the very end: the frame is as it leaves. */
static __always_inline void trace(struct xdp_md *ctx, struct packet *pkt, enum outcome why)
{
	__u64 on = *(volatile __u64 *)&tracer.on;

	if (!on || !(on >> why & 1) || ((__s64)on < 0 && trace_is_of_others(pkt, 1)))
		return;
	if (on >> TRACE_ON_UPPER_HALF & 1 && trace_is_of_others(pkt, 0))
		return;
	if (trace_service_fits(pkt))
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
