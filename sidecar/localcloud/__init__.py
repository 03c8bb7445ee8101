"""Azure on this machine, over HTTP: its own process, judged by Microsoft's own clients and contracts."""
