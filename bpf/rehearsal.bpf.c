// SPDX-License-Identifier: GPL-2.0-only
/* What a rehearsal asks of the kernel beside the director itself: the way to an address,
 * and a sweep of the whole table at a time of its choosing. Never attached to anything.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "sweep.h"

/* The frame is a struct bpf_fib_lookup, question and answer; what is returned is the helper's own. */
SEC("xdp")
int ask_route(struct xdp_md *ctx)
{
	struct bpf_fib_lookup fib, *frame = (void *)(long)ctx->data;
	__u32 mtu = 0;
	long answer;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return -1;
	fib = *frame;
	answer = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	/* As nexthop.h has it: this answer ends before the MTU. */
	if (answer == BPF_FIB_LKUP_RET_NO_NEIGH) {
		bpf_check_mtu(ctx, fib.ifindex, &mtu, 0, 0);
		fib.mtu_result = mtu;
	}
	*frame = fib;
	return answer;
}

static int sweep_one(__u32 key, struct sweep *sweep)
{
	bucket_sweep(key, sweep->tick);
	return 0;
}

/* The sweeper's beat, but for the clock, which the rehearsal has set, and the number of buckets. */
SEC("xdp")
int sweep_all(struct xdp_md *ctx)
{
	struct sweep sweep = {};
	struct sweeper *self;
	__u32 zero = 0;

	(void)ctx;
	self = bpf_map_lookup_elem(&sweeper, &zero);
	if (!self)
		return XDP_ABORTED;
	sweep.tick = tick_of(self->clock);
	bpf_loop(config.buckets, sweep_one, &sweep, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
