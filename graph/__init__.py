"""How the nodes are wired and kept: build, routes, checkpoints, runs."""
