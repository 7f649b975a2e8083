"""The `opencodeinterpreter` command.

`verbs/` has one file per verb; the other files help them: options, live output, text for people.
May import every other room.
"""
