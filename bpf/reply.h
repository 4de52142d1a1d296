/* SPDX-License-Identifier: GPL-2.0-only */
/* What the director answers by itself, sent back the way the packet came: TCP
 * resets and ICMP errors. The frame becomes another; all pointers die here.
 */
#pragma once

#include "addr.h"
#include "packet.h"

#define REPLY_TTL 64

/* RFC 1812 4.3.2.3: all of an error in 576 bytes; RFC 4443 2.4 (c): in 1,280. */
#define QUOTE_MAX_V4 (576 - 28)
#define QUOTE_MAX_V6 (1280 - 48)

/* What an answer takes from the packet, beside what is `told` of it; the pointers of struct
 * packet do not survive.
 */
struct question {
	struct ethhdr eth;
	__u32 seq;
	__u32 ack_seq;
	__u16 tcp_length; /* RFC 9293: SEG.LEN, the SYN included */
	__u8 has_ack;
	__u8 is_v4;
};

static __always_inline struct question question_of(const struct packet *pkt)
{
	struct question q = { .eth = *pkt->eth };

	q.is_v4 = !!pkt->ip4;
	if (pkt->tcp) {
		q.seq = pkt->tcp->seq;
		q.ack_seq = pkt->tcp->ack_seq;
		q.has_ack = pkt->tcp->ack;
		/* Asked for where there is no ACK: in a SYN alone, as parse_tcp has it. */
		q.tcp_length = pkt->l3_length - pkt->l4_offset - pkt->tcp->doff * 4 + pkt->tcp->syn;
	}
	return q;
}

static __always_inline void ethernet_back(struct ethhdr *eth, const struct ethhdr *was)
{
	__builtin_memcpy(eth->h_dest, was->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, was->h_dest, ETH_ALEN);
	eth->h_proto = was->h_proto;
}

static __always_inline void ip4_back(struct iphdr *ip, const struct flow *flow, __u8 protocol,
				     __u16 length)
{
	ip->ihl = 5;
	ip->version = 4;
	/* RFC 1812 4.3.2.5: errors go as internetwork control. */
	ip->tos = protocol == IPPROTO_ICMP ? 0xc0 : 0;
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = REPLY_TTL;
	ip->protocol = protocol;
	ip->check = 0;
	ip->saddr = flow->destination.word[3];
	ip->daddr = flow->source.word[3];
	ip->check = ~csum_fold((__u64)((__u32 *)ip)[0] + ((__u32 *)ip)[1] + ((__u32 *)ip)[2] +
			       ((__u32 *)ip)[3] + ((__u32 *)ip)[4]);
}

static __always_inline void ip6_back(struct ipv6hdr *ip, const struct flow *flow, __u8 protocol,
				     __u16 payload)
{
	*(__be32 *)ip = bpf_htonl(6U << 28);
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = protocol;
	ip->hop_limit = REPLY_TTL;
	__builtin_memcpy(&ip->saddr, &flow->destination, sizeof(struct addr));
	__builtin_memcpy(&ip->daddr, &flow->source, sizeof(struct addr));
}

/* The pseudo header's part of a checksum (RFC 9293 3.1, RFC 8200 8.1). For IPv4 the
 * mapped prefixes count as 0xffff twice, which is nothing in one's complement.
 */
static __always_inline __u64 pseudo_sum(const struct flow *flow, __u8 protocol, __u16 length)
{
	__u64 sum = bpf_htons(length) + bpf_htons(protocol);

#pragma unroll
	for (int i = 0; i < 4; i++)
		sum += (__u64)flow->source.word[i] + flow->destination.word[i];
	return sum;
}

/* RFC 9293 3.10.7.1: the reset that a closed port would send. */
static __always_inline void tcp_reset(struct tcphdr *tcp, const struct flow *flow,
				      const struct question *q)
{
	__u32 *word = (__u32 *)tcp;
	__u64 sum;

	tcp->source = flow->destination_port;
	tcp->dest = flow->source_port;
	tcp->seq = q->has_ack ? q->ack_seq : 0;
	tcp->ack_seq = q->has_ack ? 0 : bpf_htonl(bpf_ntohl(q->seq) + q->tcp_length);
	word[3] = bpf_htonl(5U << 28 | (q->has_ack ? 0x04 : 0x14) << 16);
	word[4] = 0;
	sum = pseudo_sum(flow, IPPROTO_TCP, sizeof(*tcp));
	sum += (__u64)word[0] + word[1] + word[2] + word[3];
	tcp->check = ~csum_fold(sum);
}

__noinline int send_reset(struct xdp_md *ctx, const struct told *told, const struct question *q)
{
	struct ethhdr *eth;
	int size;

	if (!told || !q)
		return 0;
	size = sizeof(*eth) + sizeof(struct tcphdr) +
	       (q->is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	if (bpf_xdp_adjust_tail(ctx, size - (int)bpf_xdp_get_buff_len(ctx)))
		return 0;
	eth = (void *)(long)ctx->data;
	if (q->is_v4) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) + sizeof(struct tcphdr) > (void *)(long)ctx->data_end)
			return 0;
		ethernet_back(eth, &q->eth);
		ip4_back(ip, &told->flow, IPPROTO_TCP, sizeof(*ip) + sizeof(struct tcphdr));
		tcp_reset((void *)(ip + 1), &told->flow, q);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) + sizeof(struct tcphdr) > (void *)(long)ctx->data_end)
			return 0;
		ethernet_back(eth, &q->eth);
		ip6_back(ip, &told->flow, IPPROTO_TCP, sizeof(struct tcphdr));
		tcp_reset((void *)(ip + 1), &told->flow, q);
	}
	return 1;
}

static __always_inline __u64 sum_words(const __u32 *word, const void *end, int most)
{
	__u64 sum = 0;

	for (int i = 0; i < most; i++) {
		if ((void *)(word + i + 1) > end)
			break;
		sum += word[i];
	}
	return sum;
}

/* Cut the packet to what an error quotes, whole words, and make room before it. */
static __always_inline int make_quote(struct xdp_md *ctx, const struct told *told,
				      const struct question *q, int room)
{
	int quote = told->l3_length, most = q->is_v4 ? QUOTE_MAX_V4 : QUOTE_MAX_V6;

	if (quote > most)
		quote = most;
	quote &= ~3;
	if (bpf_xdp_adjust_tail(ctx, (int)sizeof(struct ethhdr) + quote -
					     (int)bpf_xdp_get_buff_len(ctx)))
		return 0;
	return bpf_xdp_adjust_head(ctx, -room) ? 0 : quote;
}

/* RFC 792, with RFC 1191's next-hop MTU in the second word. */
__noinline int send_icmp4(struct xdp_md *ctx, const struct told *told, const struct question *q,
			  __u32 type_code, __u32 mtu)
{
	int quote = told && q ? make_quote(ctx, told, q, sizeof(struct iphdr) + 8) : 0;
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 *icmp = (void *)(ip + 1);

	if (!quote || !told || !q || (void *)(icmp + 2) > end)
		return 0;
	ethernet_back(eth, &q->eth);
	ip4_back(ip, &told->flow, IPPROTO_ICMP, sizeof(*ip) + 8 + quote);
	icmp[0] = bpf_htonl(type_code << 16);
	icmp[1] = bpf_htonl(mtu);
	((__u16 *)icmp)[1] = ~csum_fold(sum_words(icmp, end, (QUOTE_MAX_V4 + 8) / 4));
	return 1;
}

/* RFC 4443 3; the checksum covers the pseudo header (2.3). */
__noinline int send_icmp6(struct xdp_md *ctx, const struct told *told, const struct question *q,
			  __u32 type_code, __u32 mtu)
{
	int quote = told && q ? make_quote(ctx, told, q, sizeof(struct ipv6hdr) + 8) : 0;
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = (void *)(eth + 1);
	__u32 *icmp = (void *)(ip + 1);
	__u64 sum;

	if (!quote || !told || !q || (void *)(icmp + 2) > end)
		return 0;
	ethernet_back(eth, &q->eth);
	ip6_back(ip, &told->flow, IPPROTO_ICMPV6, 8 + quote);
	icmp[0] = bpf_htonl(type_code << 16);
	icmp[1] = bpf_htonl(mtu);
	sum = pseudo_sum(&told->flow, IPPROTO_ICMPV6, 8 + quote);
	((__u16 *)icmp)[1] = ~csum_fold(sum + sum_words(icmp, end, (QUOTE_MAX_V6 + 8) / 4));
	return 1;
}

/* Type and code, of ICMP in the high half and of ICMPv6 in the low one. */
enum icmp_error {
	ERROR_TOO_BIG = 0x03040200,
	ERROR_TIME_EXCEEDED = 0x0b000300,
	ERROR_PORT_UNREACHABLE = 0x03030104,
};

/* Not inlined, nor is the next: the stack of a pipeline is 512 bytes. */
static __noinline int reply_icmp(struct xdp_md *ctx, struct packet *pkt, enum icmp_error error,
				 __u32 mtu, enum outcome why)
{
	struct question q = question_of(pkt);
	int sent = q.is_v4 ? send_icmp4(ctx, &pkt->told, &q, (__u32)error >> 16, mtu) :
			     send_icmp6(ctx, &pkt->told, &q, error & 0xffff, mtu);

	pkt->action = XDP_TX;
	return sent ? why : DROP_NO_ROOM_IN_FRAME;
}

static __noinline int reply_reset(struct xdp_md *ctx, struct packet *pkt, enum outcome why)
{
	struct question q = question_of(pkt);

	/* RFC 9293 3.5.2: never a reset for a reset. */
	if (pkt->segment == SEGMENT_RST)
		return DROP_NO_SERVER;
	pkt->action = XDP_TX;
	return send_reset(ctx, &pkt->told, &q) ? why : DROP_NO_ROOM_IN_FRAME;
}

static __always_inline enum outcome reply_too_big(struct xdp_md *ctx, struct packet *pkt, __u32 mtu)
{
	/* RFC 1122 3.2.2: no error about a fragment other than the first, nor about an error. */
	if (pkt->fragment == FRAGMENT_LATER || pkt->icmp)
		return DROP_TOO_BIG;
	return reply_icmp(ctx, pkt, ERROR_TOO_BIG, mtu, REPLY_TOO_BIG);
}

static __always_inline enum outcome reply_time_exceeded(struct xdp_md *ctx, struct packet *pkt)
{
	if (pkt->fragment == FRAGMENT_LATER || pkt->icmp)
		return DROP_TTL;
	return reply_icmp(ctx, pkt, ERROR_TIME_EXCEEDED, 0, REPLY_TIME_EXCEEDED);
}

/* Nobody serves this: say so at once, so that the client need not wait. */
static __always_inline enum outcome reply_refused(struct xdp_md *ctx, struct packet *pkt,
						  enum outcome reset, enum outcome unreachable)
{
	if (pkt->tcp)
		return reply_reset(ctx, pkt, reset);
	if (!pkt->udp)
		return DROP_NO_SERVER;
	return reply_icmp(ctx, pkt, ERROR_PORT_UNREACHABLE, 0, unreachable);
}
