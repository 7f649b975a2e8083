"""The verbs of the command, one file each, registered in `cli/main.py`."""
