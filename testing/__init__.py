"""Test doubles for programs that use this package; this project's own tests use them too.

Holds a scripted model, runner and person for the three seams of a graph, and
`openai_server`, a local server of OpenAI's chat API that can misbehave on request.
May import `tools` and nothing else of the package.
"""

from opencodeinterpreter.testing.models import ScriptedModel, draft
from opencodeinterpreter.testing.people import ScriptedPerson
from opencodeinterpreter.testing.runners import ScriptedRunner, graded, raised, ran

__all__ = [
    "ScriptedModel",
    "ScriptedPerson",
    "ScriptedRunner",
    "draft",
    "graded",
    "raised",
    "ran",
]
