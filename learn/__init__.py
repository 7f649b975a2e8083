"""The paper's shape from scratch: a tiny model learns on this machine to use feedback."""
