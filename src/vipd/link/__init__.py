"""A point-to-point link at work: a line, a protocol machine and an interface put together."""
