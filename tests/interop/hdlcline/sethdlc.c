// SPDX-License-Identifier: GPL-2.0-only
/* Makes an HDLC device speak Cisco HDLC: DEVICE INTERVAL TIMEOUT, in seconds. */
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int main(int count, char **words)
{
	struct ifreq request = {};
	cisco_proto settings = {};

	if (count != 4)
		return 2;
	strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
	settings.interval = atoi(words[2]);
	settings.timeout = atoi(words[3]);
	request.ifr_settings.type = IF_PROTO_CISCO;
	request.ifr_settings.size = sizeof(settings);
	request.ifr_settings.ifs_ifsu.cisco = &settings;
	if (ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCWANDEV, &request)) {
		perror(words[1]);
		return 1;
	}
	return 0;
}
