"""What the specification says of packets, for people: questions, a director made up of its configuration, answers."""
