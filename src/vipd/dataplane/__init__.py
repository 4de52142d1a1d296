"""The data plane as the control plane sees it: one Protocol, the kernel's maps behind it."""
