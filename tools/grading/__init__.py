"""Whether a program passes its tests, decided where the program cannot reach.

Holds the host's side: tests and how they are read, the two contexts of candidate and examiner,
and the relay between them. What runs in the sandbox is in `inside/`.
May import `tools/sandbox` and the plain values of `tools`.
"""
