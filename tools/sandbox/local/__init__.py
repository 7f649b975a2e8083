"""The host's side of the local sandbox: it starts zygotes and their children, and watches them.

It runs in the host's process and treats everything that comes out of a child as a claim. It may
import `shared`, `protocol` and `inside` (the frame format and the build), but nothing from `e2b`.
"""
