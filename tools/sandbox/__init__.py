"""Sandboxes for untrusted code.

`protocol` is the interface and `opening` opens a sandbox by name. `local` and `e2b` are the two
implementations on the host's side, `shared` is what both use, and `inside` runs next to the
untrusted code. Imports go opening → local, e2b → shared → protocol, inside; never back.
"""
