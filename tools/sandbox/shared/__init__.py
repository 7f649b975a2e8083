"""What both sandboxes use on the host's side: requests, claims, output listeners, reservations.

It runs in the host's process. It may import `protocol` and `inside`, but neither `local` nor `e2b`.
"""
