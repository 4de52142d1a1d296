"""Bytes from and for the network as frozen values. Pure: knows no socket and no clock."""
