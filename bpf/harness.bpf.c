// SPDX-License-Identifier: GPL-2.0-only
/* Fills what lies around a frame with bytes that are nobody's, and looks at them when the
 * director is done; or leaves little room before it. For tests; never part of a package.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#define AROUND 128

/* Memory beside the frame, filled before the director runs and read again after it. */
struct surroundings {
	__u64 fill;  /* eight bytes of what is put there */
	__u64 begin; /* addresses of the frame as it came, and as it left */
	__u64 end;
	__u64 begin_now;
	__u64 end_now;
	__u32 program; /* of `directors` */
	__u32 filled;
	__u8 before[AROUND];
	__u8 behind[AROUND];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct surroundings);
} surroundings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} directors SEC(".maps");

static __always_inline int fill(struct xdp_md *ctx, struct surroundings *around)
{
	__u32 size = bpf_xdp_get_buff_len(ctx);
	__u64 *words;

	if (bpf_xdp_adjust_head(ctx, -AROUND))
		return -1;
	words = (void *)(long)ctx->data;
	if ((void *)words + AROUND > (void *)(long)ctx->data_end)
		return -1;
	for (int n = 0; n < AROUND / 8; n++) {
		words[n] = around->fill;
		((__u64 *)around->behind)[n] = around->fill;
	}
	if (bpf_xdp_adjust_head(ctx, AROUND) || bpf_xdp_adjust_tail(ctx, AROUND) ||
	    bpf_xdp_store_bytes(ctx, size, around->behind, AROUND))
		return -1;
	return bpf_xdp_adjust_tail(ctx, -AROUND);
}

/* To be run twice on one frame: first it fills what is around and gives the frame to the
 * director, which does not come back; then, on the frame that was left, it looks.
 */
SEC("xdp.frags")
int surrounded(struct xdp_md *ctx)
{
	struct surroundings *around;
	__u32 zero = 0;

	around = bpf_map_lookup_elem(&surroundings, &zero);
	if (!around)
		return XDP_ABORTED;
	if (around->filled) {
		around->begin_now = (long)ctx->data;
		around->end_now = (long)ctx->data_end;
		bpf_probe_read_kernel(around->before, AROUND,
				      (void *)(long)(around->begin - AROUND));
		bpf_probe_read_kernel(around->behind, AROUND, (void *)(long)around->end);
		return XDP_PASS;
	}
	if (fill(ctx, around))
		return XDP_ABORTED;
	around->filled = 1;
	around->begin = (long)ctx->data;
	around->end = (long)ctx->data_end;
	bpf_tail_call(ctx, &directors, around->program);
	return XDP_ABORTED;
}

#define HEADROOM 256 /* before a frame; the kernel keeps some of it */
#define MOST 2048

/* Room before a frame, and the frame while it moves. */
struct cramping {
	__u32 program; /* of `directors` */
	__u32 room;    /* bytes that the director may add */
	__u32 found;   /* bytes that there would be */
	__u8 frame[MOST];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct cramping);
} cramping SEC(".maps");

/* As from a driver that leaves little room: the frame moves to the front of what there is. */
SEC("xdp.frags")
int cramped(struct xdp_md *ctx)
{
	__u32 zero = 0, size = bpf_xdp_get_buff_len(ctx);
	struct cramping *cramp = bpf_map_lookup_elem(&cramping, &zero);
	__u32 taken;

	if (!cramp || size < 14 || size > MOST)
		return XDP_ABORTED;
	if (bpf_xdp_load_bytes(ctx, 0, cramp->frame, size))
		return XDP_ABORTED;
	for (taken = HEADROOM; taken > 0; taken -= 4)
		if (!bpf_xdp_adjust_head(ctx, -(int)taken))
			break;
	cramp->found = taken;
	if (cramp->room > taken || bpf_xdp_adjust_head(ctx, cramp->room) ||
	    bpf_xdp_adjust_tail(ctx, (int)(cramp->room - taken)) ||
	    bpf_xdp_store_bytes(ctx, 0, cramp->frame, size))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &directors, cramp->program);
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
