"""The command line. Talks to a running daemon by its API only."""
