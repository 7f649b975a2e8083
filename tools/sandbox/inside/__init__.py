"""Code that runs inside a sandbox, in the process that executes untrusted code or its parent.

The zygote and the steps by which its children lock themselves in, and the code that executes a
program or a cell. It may run on an interpreter without our packages: it imports the standard
library and this package alone. Anything here can be changed by hostile code in the same process.
"""
