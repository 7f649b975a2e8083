"""Decide whether a program passes its tests, out of the program's reach.

Holds the host's side: reading tests, the contexts of candidate and examiner, and the relay between
them. The code that runs in the sandbox is in `inside/`.
May import `tools/sandbox` and the plain values of `tools`.
"""
