/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets every frame pass. For veth ends whose peer sends from XDP: such an end
 * receives those frames only while it has an XDP program of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int pass(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
