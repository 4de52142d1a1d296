/* SPDX-License-Identifier: GPL-2.0-only */
/* What crosses the border for tracing: what a tracer asks for, and what it is told.
 * Generated from and bound like abi.h. No packet's way depends on any of it.
 */
#pragma once

#include "abi.h"

enum trace_limits {
	TRACE_FRAME = 2048,   /* bytes of a frame, at the most */
	TRACE_ROOM = 1048576, /* bytes of records that wait for the tracer */
};

/* Bits of `on` above those of the outcomes: by which half of a client's address to ask. */
enum trace_on {
	TRACE_ON_UPPER_HALF = 62,
	TRACE_ON_LOWER_HALF = 63, /* IPv4's: the sign, which is asked for fastest */
};

/* What a tracer asks for. It writes all but the last block. The first cache line rules out
 * what can be ruled out at little cost; what it lets through is looked at again.
 */
struct tracer {
	__u64 on;   /* bit n: outcome n, CONTINUE always; 0: off, as where `beat` stands still */
	__u64 keep; /* the same, where frames are wanted that may be changed */
	__u64 services_modulo; /* bit n: services of numbers with n as the low bits */
	__u64 half_net;	       /* of `net` */
	__u64 half_mask;
	__u64 gap[3]; /* to the end of the line */

	struct addr net; /* only packets from or to here */
	struct addr mask;
	__u32 frame;  /* bytes of each frame as it came, up to TRACE_FRAME */
	__u32 share;  /* records in a window, of all processors; 0: no limit */
	__u64 window; /* ns */
	__u32 pid;
	__u32 beat;   /* counted up as long as the tracer lives */
	__u32 sample; /* one of so many */
	__u32 pad;

	__u64 services[SERVICES / 64];	  /* bit n: service n; bit 0: packets of none */
	__u64 servers[REAL_SERVERS / 64]; /* bit n: real server n; bit 0: packets of none */

	__u64 heard_at;	  /* ns: when `beat` was not yet `heard` */
	__u64 renewed_at; /* ns: when the window began */
	__u32 heard;
	__s32 credit; /* what is left of the share */
	__u64 end[5];
};

/* Since the tracer set them to 0. */
struct trace_count {
	__u64 matched;
	__u64 sampled_out;
	__u64 limited;
	__u64 lost; /* no room: the tracer was too slow */
};

enum traced_flag {
	TRACED_KNOWN = 1, /* of a known connection, or about one */
	TRACED_REPLY = 2, /* a real server's, under NAT */
	TRACED_FIRST_FRAGMENT = 4,
	TRACED_LATER_FRAGMENT = 8,
	TRACED_BARE = 16, /* what is kept has no Ethernet header */
};

/* A packet and what became of it; `kept` bytes of the frame as it came follow. */
struct traced {
	__u64 at;	   /* ns of CLOCK_MONOTONIC */
	struct flow flow;  /* as the packet came */
	struct flow about; /* the connection's; an ICMP error's is another */
	__u32 cpu;
	__u32 ingress;	   /* ifindex */
	__u32 egress;	   /* ifindex; 0: XDP did not send it on */
	__u32 service;	   /* 0: none, or none yet */
	__u32 real_server; /* 0: none, or none yet */
	__u32 came;	   /* bytes of the frame, where any are kept */
	__u32 left;	   /* bytes of the frame in the end */
	__u16 l3_length;   /* of IP, as it came; 0: not read */
	__u16 events;	   /* bit n: event n */
	__u16 kept;
	__u8 outcome;
	__u8 flags;
	__u8 segment;  /* TCP: the flag that decides; ports of 0: not read */
	__u8 state;    /* of the connection, afterwards */
	__u8 macs[12]; /* destination and source of the frame in the end */
	__u8 pad[6];
};

/* A record in the making. */
struct trace_record {
	struct traced traced;
	__u8 frame[TRACE_FRAME];
};
