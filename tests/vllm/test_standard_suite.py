"""langchain's standard tests of a chat model, over the engine in this process.

What does not apply is switched off by its property. What asks for more sense than a model of 135M
parameters has may fail; the form of calls and bound answers is shown in `test_engine`.
"""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM
from opencodeinterpreter.tools.models.vllm.engine import Engine

suite: Any = pytest.importorskip(
    "langchain_tests.integration_tests", reason="langchain-tests is not installed here"
)


_SENSE = (
    "test_tool_calling",
    "test_tool_calling_async",
    "test_bind_runnables_as_tools",
    "test_structured_output",
    "test_structured_output_async",
    "test_structured_output_pydantic_2_v1",
    "test_structured_output_optional_param",
    "test_agent_loop",
    "test_unicode_tool_call_integration",
)
"""They want the argument 3 passed on, a tool chosen, or a free string ended within the limit."""


class TestChatVLLM(suite.ChatModelIntegrationTests):  # type: ignore[misc]
    """SmolLM2, greedy, on one engine."""

    @pytest.fixture(autouse=True)
    def _engine(self, smollm2: Engine) -> None:
        type(self).engine = smollm2

    engine: Engine

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatVLLM

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "model": "smollm2",
            "temperature": 0,
            "max_tokens": 128,
        }

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {}

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return False


for _name in _SENSE:
    _reason = "SmolLM2-135M gets the arguments wrong, or never ends a string"
    _may_fail = pytest.mark.xfail(reason=_reason, raises=(AssertionError, TypeError), strict=False)
    setattr(TestChatVLLM, _name, _may_fail(getattr(suite.ChatModelIntegrationTests, _name)))
