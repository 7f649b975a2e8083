"""vLLM in this process (`vllm:`) and as a supervised server (`vllm-serve:`).

`engine` runs the engine, `chat` is its langchain chat model, `model` the seam over both;
`served` starts, watches and restarts `server_process`. `options` and `model` import no vllm.
Imports only `tools.models` and `tools.errors`.
"""
