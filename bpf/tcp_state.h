/* SPDX-License-Identifier: GPL-2.0-only */
/* How a connection's state and expiry follow its packets: LVS's tables, row by row,
 * in LVS's order of states (lvs: net/netfilter/ipvs/ip_vs_proto_tcp.c).
 */
#pragma once

#include "connection.h"
#include "packet.h"

enum direction {
	INPUT,
	OUTPUT,
	INPUT_ONLY, /* DR, TUN, local: replies are not seen */
	DIRECTION_COUNT,
};

#define NO STATE_NONE
#define ES STATE_ESTABLISHED
#define SS STATE_SYN_SENT
#define SR STATE_SYN_RECV
#define FW STATE_FIN_WAIT
#define TW STATE_TIME_WAIT
#define CL STATE_CLOSE
#define CW STATE_CLOSE_WAIT
#define LA STATE_LAST_ACK
#define LI STATE_LISTEN
#define SA STATE_SYNACK

static const __u8 next_state[DIRECTION_COUNT][SEGMENT_COUNT][16] = {
	/* columns: NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
	[INPUT] = {
		[SEGMENT_SYN] = { SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR },
		[SEGMENT_FIN] = { CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW },
		[SEGMENT_ACK] = { ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES },
		[SEGMENT_RST] = { CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR },
	},
	[OUTPUT] = {
		[SEGMENT_SYN] = { SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR },
		[SEGMENT_FIN] = { TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW },
		[SEGMENT_ACK] = { ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES },
		[SEGMENT_RST] = { CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL },
	},
	[INPUT_ONLY] = {
		[SEGMENT_SYN] = { SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR },
		[SEGMENT_FIN] = { CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW },
		[SEGMENT_ACK] = { ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES },
		[SEGMENT_RST] = { CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL },
	},
};

#define STATES(a, b, c, d) (1 << (a) | 1 << (b) | 1 << (c) | 1 << (d))

static __always_inline int state_is_active(__u8 state)
{
	return STATES(ES, SS, SR, SA) >> (state & 15) & 1;
}

static __always_inline int state_is_closing(__u8 state)
{
	return (STATES(FW, TW, CL, CW) | 1 << LA) >> (state & 15) & 1;
}

#undef NO
#undef ES
#undef SS
#undef SR
#undef FW
#undef TW
#undef CL
#undef CW
#undef LA
#undef LI
#undef SA

static __always_inline __u8 state_after(__u8 state, enum direction direction, __u8 segment)
{
	if (state == STATE_UDP)
		return STATE_UDP;
	return next_state[direction][segment & 3][state & 15];
}

static __always_inline __u32 expires_of(__u8 state, __u32 tick)
{
	__u32 key = state;
	const __u32 *ticks = bpf_map_lookup_elem(&timeouts, &key);

	return tick + (ticks ? *ticks : 0);
}

/* Take note of a packet in the client's entry: state, counts, expiry. */
static __always_inline void connection_touch(struct connection *conn, __u64 life,
					     enum direction direction, __u8 segment, __u32 tick)
{
	__u8 state = life_state(life), next = state_after(state, direction, segment);
	__u8 flags = life_flags(life) | (direction == OUTPUT ? CONNECTION_TWO_WAY : 0);
	__u32 expires = expires_of(next, tick), server = conn->real_server;
	__u64 wanted;

	/* The next note may come two TOUCH_TICKS later, from a reply: be in time for it. */
	if (next == state && flags == life_flags(life) &&
	    (__s32)(expires - life_expires(life)) < TOUCH_TICKS &&
	    (__s32)(life_expires(life) - tick) > 2 * TOUCH_TICKS)
		return;
	flags &= ~CONNECTION_ACTIVE;
	if (state_is_active(next))
		flags |= CONNECTION_ACTIVE;
	wanted = life_of(expires, life >> LIFE_GENERATION_SHIFT, next, flags);
	/* Where another processor was first, its packet is as good as ours. */
	if (__sync_val_compare_and_swap(&conn->life, life, wanted) != life)
		return;
	if ((flags ^ life_flags(life)) & CONNECTION_ACTIVE) {
		load_add(server, flags & CONNECTION_ACTIVE, 1);
		load_add(server, !(flags & CONNECTION_ACTIVE), -1);
	}
}
