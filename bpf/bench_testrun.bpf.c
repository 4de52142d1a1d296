// SPDX-License-Identifier: GPL-2.0-only
/* Measures programs by BPF_PROG_TEST_RUN: the harness that feeds them, and the
 * floors that the director is held against. Knows the director as an entry in
 * `programs`, nothing else.
 */
#include "bench_frame.h"
#include "bench_floor.h"

enum {
	PROGRAMS = 32,
};

/* Filled by user space: 0 is `nothing`, the rest as it likes. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PROGRAMS);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* The kernel runs this again and again on one buffer. So: back to the length that
 * an encapsulation grew, the headers anew for the next flow, then the program.
 */
SEC("xdp.frags")
int harness(struct xdp_md *ctx)
{
	struct recipe *recipe;
	__u32 zero = 0, size;

	recipe = bpf_map_lookup_elem(&recipes, &zero);
	if (!recipe)
		return XDP_ABORTED;
	size = recipe->flags & RECIPE_IPV6 ? FRAME6 : FRAME4;
	/* Also when it did not grow, so that it costs every program the same. */
	if (bpf_xdp_adjust_head(ctx, (long)ctx->data_end - (long)ctx->data - size))
		return XDP_ABORTED;
	if (frame_write(ctx, recipe))
		return XDP_ABORTED;
	/* Stores in flight would make the first loads wait as no frame of a network
	 * card does: an atomic operation lets them land first.
	 */
	__sync_fetch_and_add(&recipe->written, 1);
	bpf_tail_call(ctx, &programs, recipe->program);
	return XDP_ABORTED;
}

/* The harness alone. */
SEC("xdp.frags")
int nothing(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

SEC("xdp.frags")
int swap(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u8 mac[ETH_ALEN];

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

SEC("xdp.frags")
int hash(struct xdp_md *ctx)
{
	struct floor_server *server = floor_find(ctx);

	if (!server)
		return XDP_DROP;
	return floor_send(ctx, server);
}

SEC("xdp.frags")
int hash_ip4ip4(struct xdp_md *ctx)
{
	struct floor_server *server = floor_find(ctx);

	if (!server)
		return XDP_DROP;
	return floor_encapsulate4(ctx, server);
}

SEC("xdp.frags")
int hash_ip6ip6(struct xdp_md *ctx)
{
	struct floor_server *server = floor_find(ctx);

	if (!server)
		return XDP_DROP;
	return floor_encapsulate6(ctx, server);
}

/* A new connection with nothing around it: a lookup that finds nothing, an insert. */
SEC("xdp.frags")
int insert(struct xdp_md *ctx)
{
	struct floor_connection fresh = {};
	struct floor_server *server;
	struct flow flow = {};

	if (floor_parse(ctx, &flow))
		return XDP_DROP;
	if (bpf_map_lookup_elem(&floor_connections, &flow))
		return XDP_DROP;
	fresh.server = floor_choose(&flow);
	if (bpf_map_update_elem(&floor_connections, &flow, &fresh, BPF_NOEXIST))
		return XDP_DROP;
	server = bpf_map_lookup_elem(&floor_servers, &fresh.server);
	if (!server)
		return XDP_DROP;
	return floor_send(ctx, server);
}

/* Undoes insert, outside of what is measured. */
SEC("xdp.frags")
int forget(struct xdp_md *ctx)
{
	struct flow flow = {};

	if (floor_parse(ctx, &flow) || bpf_map_delete_elem(&floor_connections, &flow))
		return XDP_DROP;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
