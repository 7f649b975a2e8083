"""langchain's standard tests of a chat model, over the engine in this process.

What does not apply is switched off by its property, with the reason beside it.
"""

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel

from opencodeinterpreter.tools.models.vllm_chat import ChatVLLM
from opencodeinterpreter.tools.models.vllm_engine import Engine

suite: Any = pytest.importorskip(
    "langchain_tests.integration_tests", reason="langchain-tests is not installed here"
)


class TestChatVLLM(suite.ChatModelIntegrationTests):  # type: ignore[misc]
    """With SmolLM2, greedy, on one engine."""

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
