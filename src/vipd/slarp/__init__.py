"""Cisco HDLC's own protocol, SLARP, as a machine: time and frames go in, effects come out. Pure."""
