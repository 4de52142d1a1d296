/* SPDX-License-Identifier: GPL-2.0-only */
/* What a real server's decapsulation shares with user space, and nothing else. */
#pragma once

/* Every frame ends in exactly one of these. PASS leaves the frame untouched to
 * the kernel, TAKEN leaves it the inner packet, DROP ends it.
 */
enum decapsulation {
	DECAP_CONTINUE, /* not an end: the next stage goes on */
	DECAP_PASS_NOT_TUNNEL,
	DECAP_PASS_FRAGMENT, /* of the outer packet */
	DECAP_PASS_OPTIONS,
	DECAP_PASS_EXTENSION_HEADER,
	DECAP_PASS_OTHER_DESTINATION, /* outer destination is no address of this server */
	DECAP_PASS_OTHER_INNER,	      /* inner destination is no VIP */
	DECAP_TAKEN_4IN4,
	DECAP_TAKEN_6IN4,
	DECAP_TAKEN_4IN6,
	DECAP_TAKEN_6IN6,
	DECAP_DROP_TRUNCATED, /* a header or the outer length goes beyond the frame */
	DECAP_DROP_OUTER_CHECKSUM,
	DECAP_DROP_INNER_VERSION, /* the inner header is not of the family announced */
	DECAP_DROP_INNER_LENGTH,  /* the inner packet is longer than the outer one carries */
	DECAP_DROP_SOURCE,	  /* outer source is not among the directors allowed */
	DECAP_DROP_ECN,		  /* congestion marked, inner packet not capable (RFC 6040, 4.2) */
	DECAP_DROP_ADJUST,	  /* the kernel did not take the outer header off */
	DECAP_COUNT,
};
