"""`vllm:MODEL`: vLLM in this process, behind the model seam."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from opencodeinterpreter.tools.models.faults import Fault, fault_of
from opencodeinterpreter.tools.models.langchain_model import LangChainModel
from opencodeinterpreter.tools.models.options import ModelOptions
from opencodeinterpreter.tools.models.protocol import Request
from opencodeinterpreter.tools.models.spec import Spec
from opencodeinterpreter.tools.models.structured import Way
from opencodeinterpreter.tools.models.vllm.engine import open_engine
from opencodeinterpreter.tools.models.vllm.options import vllm_options


class VLLMModel(LangChainModel):
    """A model whose engine runs in this process."""

    ways = ("schema",)

    def arguments(self, request: Request, way: Way = "words") -> dict[str, Any]:
        """Return sampling parameters and schema by ChatVLLM's names."""
        arguments = super().arguments(request, way)
        if way == "schema":
            arguments["json_schema"] = dict(request.json_schema or {})
        return arguments

    def fault(self, error: Exception) -> Fault:
        """Classify an error of the engine."""
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "EngineDeadError" in kinds:
            return Fault(
                text="vLLM's engine died",
                advice="see its log; resume the run to start another engine",
                transient=False,
            )
        found = fault_of(error)
        if found.overflow or "VLLMError" not in kinds:
            return found
        return Fault(
            text=" ".join(str(error).split()),
            advice="vLLM refused the request; check the sampling settings",
            transient=False,
            refused="VLLMClientError" in kinds,
        )


@asynccontextmanager
async def open_vllm(spec: Spec, options: ModelOptions) -> AsyncIterator[VLLMModel]:
    """Yield the model of an engine that runs until the context ends.

    Raises InputError if the model or an option is invalid, ModelError if the engine does not start.
    """
    chosen = vllm_options(spec.name, options.engine)
    async with open_engine(spec.text, chosen) as engine:
        from opencodeinterpreter.tools.models.vllm.chat import ChatVLLM

        name = spec.name.rstrip("/").rpartition("/")[2] or spec.name
        yield VLLMModel(ChatVLLM(engine=engine, model=name), spec=spec.text, options=options)
