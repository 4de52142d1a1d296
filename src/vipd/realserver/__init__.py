"""How a machine becomes a real server under direct routing or tunnelling, and how it stops being one."""
