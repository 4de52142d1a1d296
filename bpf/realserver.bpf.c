// SPDX-License-Identifier: GPL-2.0-only
/* What a real server runs to take tunnelled packets where its kernel has no
 * tunnel: the outer IP header comes off, the kernel gets the rest. Knows no
 * connection and no service.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "addr.h"
#include "point_to_point.h"
#include "realserver_abi.h"

#define IP_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */
#define MAX_ADDRESSES 1024
#define INNER_LENGTH_IMPOSSIBLE 0x10000 /* more than any outer packet carries */

/* Prefix of outer sources; ::/0 where any is allowed. IPv4 counts from bit 96. */
struct director_key {
	__u32 prefixlen;
	struct addr source;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct addr);
	__type(value, __u8);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct addr);
	__type(value, __u8);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct director_key);
	__type(value, __u8);
} directors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

/* Map values hold the numbers only, which would leave the enum out of the BTF. */
const enum decapsulation abi_enum SEC(".rodata.abi") = DECAP_CONTINUE;

struct packet {
	struct addr source;	 /* of the outer header */
	struct addr destination; /* of the outer header */
	struct addr inner;	 /* destination of the inner header */
	__u8 outer_length;  /* bytes of the outer header; 8 bits: a bound that the verifier keeps */
	__u32 carried;	    /* bytes behind it, as it says itself */
	__u32 inner_length; /* of the inner packet, as that says itself */
	__u8 outer_ecn;
	__u8 inner_protocol;
};

enum ecn {
	ECN_NOT_CAPABLE,
	ECN_CAPABLE_1,
	ECN_CAPABLE_0,
	ECN_CONGESTED,
	ECN_MASK = 3,
};

/* The bytes from `offset` on, or NULL where the linear part ends before `size`. */
static __always_inline void *pull(struct xdp_md *ctx, __u32 offset, __u32 size)
{
	void *here = (void *)(long)ctx->data + offset;

	if (here + size > (void *)(long)ctx->data_end)
		return NULL;
	return here;
}

static __always_inline __u16 header_sum(const void *header)
{
	const __u16 *half = header;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += half[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline bool is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

static __always_inline int parse_outer_ip4(struct xdp_md *ctx, struct packet *pkt)
{
	struct iphdr *ip = pull(ctx, ETH_HLEN, sizeof(*ip));
	__u32 total;

	if (!ip)
		return DECAP_PASS_NOT_TUNNEL;
	if (ip->version != 4 || !is_tunnel(ip->protocol))
		return DECAP_PASS_NOT_TUNNEL;
	if (ip->ihl != 5)
		return DECAP_PASS_OPTIONS;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_MASK))
		return DECAP_PASS_FRAGMENT;
	addr_from_v4(&pkt->source, ip->saddr);
	addr_from_v4(&pkt->destination, ip->daddr);
	if (!bpf_map_lookup_elem(&addresses, &pkt->destination))
		return DECAP_PASS_OTHER_DESTINATION;
	if (header_sum(ip) != 0xffff)
		return DECAP_DROP_OUTER_CHECKSUM;
	total = bpf_ntohs(ip->tot_len);
	if (total < sizeof(*ip))
		return DECAP_DROP_TRUNCATED;
	pkt->outer_length = sizeof(*ip);
	pkt->carried = total - sizeof(*ip);
	pkt->outer_ecn = ip->tos & ECN_MASK;
	pkt->inner_protocol = ip->protocol;
	return DECAP_CONTINUE;
}

static __always_inline int parse_outer_ip6(struct xdp_md *ctx, struct packet *pkt)
{
	struct ipv6hdr *ip = pull(ctx, ETH_HLEN, sizeof(*ip));

	if (!ip || ip->version != 6)
		return DECAP_PASS_NOT_TUNNEL;
	switch (ip->nexthdr) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		break;
	case IPPROTO_FRAGMENT:
		return DECAP_PASS_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return DECAP_PASS_EXTENSION_HEADER;
	default:
		return DECAP_PASS_NOT_TUNNEL;
	}
	__builtin_memcpy(&pkt->source, &ip->saddr, sizeof(struct addr));
	__builtin_memcpy(&pkt->destination, &ip->daddr, sizeof(struct addr));
	if (!bpf_map_lookup_elem(&addresses, &pkt->destination))
		return DECAP_PASS_OTHER_DESTINATION;
	pkt->outer_length = sizeof(*ip);
	pkt->carried = bpf_ntohs(ip->payload_len);
	pkt->outer_ecn = (ip->flow_lbl[0] >> 4) & ECN_MASK;
	pkt->inner_protocol = ip->nexthdr;
	return DECAP_CONTINUE;
}

/* Whose the inner packet is comes before what is wrong with it: another tunnel
 * of this host is none of our business.
 */
static __always_inline int admit(struct packet *pkt)
{
	struct director_key key = { .prefixlen = 128, .source = pkt->source };

	if (!bpf_map_lookup_elem(&vips, &pkt->inner))
		return DECAP_PASS_OTHER_INNER;
	if (!bpf_map_lookup_elem(&directors, &key))
		return DECAP_DROP_SOURCE;
	return DECAP_CONTINUE;
}

static __always_inline int parse_inner_ip4(struct xdp_md *ctx, struct packet *pkt)
{
	struct iphdr *ip = pull(ctx, ETH_HLEN + pkt->outer_length, sizeof(*ip));

	if (!ip || pkt->carried < sizeof(*ip))
		return DECAP_DROP_TRUNCATED;
	if (ip->version != 4)
		return DECAP_DROP_INNER_VERSION;
	addr_from_v4(&pkt->inner, ip->daddr);
	pkt->inner_length = bpf_ntohs(ip->tot_len);
	if (ip->ihl < 5 || pkt->inner_length < ip->ihl * 4)
		pkt->inner_length = INNER_LENGTH_IMPOSSIBLE;
	return DECAP_CONTINUE;
}

static __always_inline int parse_inner_ip6(struct xdp_md *ctx, struct packet *pkt)
{
	struct ipv6hdr *ip = pull(ctx, ETH_HLEN + pkt->outer_length, sizeof(*ip));

	if (!ip || pkt->carried < sizeof(*ip))
		return DECAP_DROP_TRUNCATED;
	if (ip->version != 6)
		return DECAP_DROP_INNER_VERSION;
	__builtin_memcpy(&pkt->inner, &ip->daddr, sizeof(struct addr));
	pkt->inner_length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	return DECAP_CONTINUE;
}

static __always_inline int check_lengths(struct xdp_md *ctx, struct packet *pkt)
{
	if (ETH_HLEN + pkt->outer_length + pkt->carried > bpf_xdp_get_buff_len(ctx))
		return DECAP_DROP_TRUNCATED;
	if (pkt->inner_length > pkt->carried)
		return DECAP_DROP_INNER_LENGTH;
	return DECAP_CONTINUE;
}

/* RFC 6040, figure 4; -1 for the combination that must be dropped. */
static __always_inline int merged_ecn(__u8 outer, __u8 inner)
{
	if (outer == ECN_CONGESTED)
		return inner == ECN_NOT_CAPABLE ? -1 : ECN_CONGESTED;
	if (outer == ECN_CAPABLE_1 && inner == ECN_CAPABLE_0)
		return ECN_CAPABLE_1;
	return inner;
}

/* RFC 1624, equation 3: a wrong checksum stays exactly as wrong. */
static __always_inline void set_ip4_ecn(struct iphdr *ip, __u8 ecn)
{
	__u8 tos = (ip->tos & ~ECN_MASK) | ecn;
	__u32 sum = (__u16)~ip->check + (__u16)~bpf_htons(ip->tos) + bpf_htons(tos);

	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
	ip->tos = tos;
}

static __always_inline int merge_ecn(struct xdp_md *ctx, struct packet *pkt)
{
	__u32 offset = ETH_HLEN + pkt->outer_length;
	int ecn;

	if (pkt->inner_protocol == IPPROTO_IPIP) {
		struct iphdr *ip = pull(ctx, offset, sizeof(*ip));

		if (!ip)
			return DECAP_DROP_TRUNCATED;
		ecn = merged_ecn(pkt->outer_ecn, ip->tos & ECN_MASK);
		if (ecn >= 0 && ecn != (ip->tos & ECN_MASK))
			set_ip4_ecn(ip, ecn);
	} else {
		struct ipv6hdr *ip = pull(ctx, offset, sizeof(*ip));

		if (!ip)
			return DECAP_DROP_TRUNCATED;
		ecn = merged_ecn(pkt->outer_ecn, (ip->flow_lbl[0] >> 4) & ECN_MASK);
		if (ecn >= 0)
			ip->flow_lbl[0] = (ip->flow_lbl[0] & ~(ECN_MASK << 4)) | (ecn << 4);
	}
	return ecn < 0 ? DECAP_DROP_ECN : DECAP_CONTINUE;
}

/* Moves the Ethernet header up to the inner packet, which names its own type. */
static __always_inline int decapsulate(struct xdp_md *ctx, struct packet *pkt)
{
	struct ethhdr *old = pull(ctx, 0, sizeof(*old));
	struct ethhdr *new = pull(ctx, pkt->outer_length, sizeof(*new));
	bool inner_ip4 = pkt->inner_protocol == IPPROTO_IPIP;
	bool outer_ip4 = pkt->outer_length == sizeof(struct iphdr);

	if (!old || !new)
		return DECAP_DROP_TRUNCATED;
	__builtin_memcpy(new, old, sizeof(*new));
	new->h_proto = bpf_htons(inner_ip4 ? ETH_P_IP : ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, pkt->outer_length))
		return DECAP_DROP_ADJUST;
	if (outer_ip4)
		return inner_ip4 ? DECAP_TAKEN_4IN4 : DECAP_TAKEN_6IN4;
	return inner_ip4 ? DECAP_TAKEN_4IN6 : DECAP_TAKEN_6IN6;
}

static __always_inline int account(__u32 outcome)
{
	__u64 *count = bpf_map_lookup_elem(&outcomes, &outcome);

	if (count)
		*count += 1;
	return outcome >= DECAP_DROP_TRUNCATED ? XDP_DROP : XDP_PASS;
}

static __always_inline int parse(struct xdp_md *ctx, struct packet *pkt)
{
	struct ethhdr *eth = pull(ctx, 0, sizeof(*eth));
	int why = DECAP_PASS_NOT_TUNNEL;

	if (!eth)
		return DECAP_PASS_NOT_TUNNEL;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		why = parse_outer_ip4(ctx, pkt);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		why = parse_outer_ip6(ctx, pkt);
	if (why != DECAP_CONTINUE)
		return why;
	return pkt->inner_protocol == IPPROTO_IPIP ? parse_inner_ip4(ctx, pkt) :
						     parse_inner_ip6(ctx, pkt);
}

static __always_inline int take(struct xdp_md *ctx)
{
	struct packet pkt = {};
	int why = parse(ctx, &pkt);

	if (why == DECAP_CONTINUE)
		why = admit(&pkt);
	if (why == DECAP_CONTINUE)
		why = check_lengths(ctx, &pkt);
	if (why == DECAP_CONTINUE)
		why = merge_ecn(ctx, &pkt);
	if (why == DECAP_CONTINUE)
		why = decapsulate(ctx, &pkt);
	return why;
}

SEC("xdp.frags")
int decapsulator(struct xdp_md *ctx)
{
	return account(take(ctx));
}

/* On devices whose packets have no Ethernet header. */
SEC("xdp.frags")
int decapsulator_point_to_point(struct xdp_md *ctx)
{
	struct arrival arrival;
	enum header header = header_add(ctx, &arrival);
	int why;

	if (header != HEADER_DONE)
		return account(header == HEADER_NOT_IP ? DECAP_PASS_NOT_TUNNEL : DECAP_DROP_ADJUST);
	why = take(ctx);
	if (why < DECAP_DROP_TRUNCATED && header_remove(ctx, &arrival) != HEADER_DONE)
		why = DECAP_DROP_ADJUST;
	return account(why);
}

char LICENSE[] SEC("license") = "GPL";
