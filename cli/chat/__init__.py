"""The parts of `chat`: its lines, its commands, and what it shows."""
