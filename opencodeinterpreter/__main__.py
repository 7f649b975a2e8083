"""`python -m opencodeinterpreter`: the command."""

from opencodeinterpreter.cli.main import main

main()
