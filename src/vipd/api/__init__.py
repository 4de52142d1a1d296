"""How people and programs talk to a running daemon: JSON over HTTP on a Unix socket."""
