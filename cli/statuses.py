"""The exit statuses of the command."""

SOLVED = 0
NOT_SOLVED = 1
WRONG_INPUT = 2
OUTSIDE_FAILURE = 3
WAITING = 4
DEADLINE_REACHED = 5
DEFECT = 70
"""A defect of ours, as `EX_SOFTWARE` of sysexits.h: a script must not take it for a result."""
INTERRUPTED = 130
TERMINATED = 143
