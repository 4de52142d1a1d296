// SPDX-License-Identifier: GPL-2.0-only
/* The two ends of a wire in the benchmark: makes frames of many flows, counts and
 * drops what comes out. Knows nothing of what is between them.
 */
#include <linux/if_ether.h>

#include "bench_frame.h"

/* Of the run at hand; one processor makes and counts all of its frames. */
struct run {
	__u64 made;
	__u64 arrived;
	__u64 unmeasured;
	__u64 wanted;
	__u64 began; /* ns of CLOCK_MONOTONIC: the first measured frame was made */
	__u64 ended; /* the last one has arrived */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct run);
} runs SEC(".maps");

/* Run by BPF_PROG_TEST_RUN on live frames: XDP_TX sends out of the interface that
 * the frame is said to have come from.
 */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct recipe *recipe;
	struct run *run;
	__u32 zero = 0;

	run = bpf_map_lookup_elem(&runs, &zero);
	if (!run)
		return XDP_ABORTED;
	/* Here, because the kernel's own preparations take milliseconds; and not at
	 * once, because the first frames find every cache filled by somebody else.
	 */
	if (run->made++ == run->unmeasured)
		run->began = bpf_ktime_get_ns();
	recipe = bpf_map_lookup_elem(&recipes, &zero);
	if (!recipe || frame_write(ctx, recipe))
		return XDP_ABORTED;
	return XDP_TX;
}

/* The generator's frames go on in IPv4 (or arrive in a tunnel); what else a new
 * interface hears is the kernel's own IPv6 chatter.
 */
SEC("xdp")
int count(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct run *run;
	__u32 zero = 0;

	if (frame + FRAME4 > end || ((__u16 *)frame)[6] != bpf_htons(ETH_P_IP))
		return XDP_DROP;
	run = bpf_map_lookup_elem(&runs, &zero);
	if (run && ++run->arrived == run->wanted)
		run->ended = bpf_ktime_get_ns();
	return XDP_DROP;
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* The least that XDP can do between two wires: where to, and on. */
struct way_out {
	__u32 ifindex;
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct way_out);
} ways_out SEC(".maps");

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct way_out *way;
	__u32 zero = 0;

	way = bpf_map_lookup_elem(&ways_out, &zero);
	if (!way || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	__builtin_memcpy(eth->h_dest, way->destination, ETH_ALEN);
	__builtin_memcpy(eth->h_source, way->source, ETH_ALEN);
	return bpf_redirect(way->ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
