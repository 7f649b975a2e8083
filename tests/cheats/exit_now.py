"""Kind: an early end of the process. Honest: fail, fail."""

import os

os._exit(0)
