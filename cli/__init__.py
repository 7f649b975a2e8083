"""The `opencodeinterpreter` command.

`verbs/` has one file a verb; the other files help them: options, live output, words for people.
May import every other room.
"""
