"""Kind: an early end of the process. Honest: fail, fail."""

raise SystemExit
