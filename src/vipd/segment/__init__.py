"""What frames travel on between hosts: links, hubs and switches, as machines. Pure: time is an argument."""
