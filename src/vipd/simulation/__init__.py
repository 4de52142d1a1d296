"""A fleet of directors and millions of flows: what moves, and what each server gets. Pure."""
