"""The Point-to-Point Protocol as machines: time and frames go in, effects come out. Pure."""
