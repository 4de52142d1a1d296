/* SPDX-License-Identifier: GPL-2.0-only */
/* The options of an IPv4 header: whether the kernel has to see to them. Knows no packet. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#define OPTIONS_MAX 40
#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137

/* RFC 791 3.1; `here` and `end` are places in the frame. Who asks for a way of his own
 * may have it by the kernel's leave only (RFC 7126 4.3, 4.4), and an option that does not
 * end where it says is the kernel's to answer. The others change no way.
 */
__noinline int options_are_the_kernels(struct xdp_md *ctx, __u32 here, __u32 end)
{
	__u8 kind, length;

	for (int n = 0; n < OPTIONS_MAX && here < end; n++) {
		/* The mask keeps the verifier from following every sum of lengths. */
		here &= 0xff;
		if (bpf_xdp_load_bytes(ctx, here, &kind, 1))
			return 1;
		if (kind == OPTION_END)
			return 0;
		if (kind == OPTION_NOTHING) {
			here++;
			continue;
		}
		if (kind == OPTION_LOOSE_ROUTE || kind == OPTION_STRICT_ROUTE || here + 2 > end ||
		    bpf_xdp_load_bytes(ctx, here + 1, &length, 1) || length < 2 ||
		    here + length > end)
			return 1;
		here += length;
	}
	return 0;
}
