"""The host's side of the E2B sandbox: sandboxes in E2B's cloud, through its SDK (extra `e2b`).

It runs in the host's process; the SDK is imported only when a sandbox is opened. It may import
`shared`, `protocol` and `inside`, but nothing from `local`. `e2b.inside` holds what runs remotely.
"""
