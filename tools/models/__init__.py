"""Chat models, each opened from a spec string.

`protocol` is the seam, `backends` the table of what a spec may name, `opening` opens models.
`langchain_model` adds retries, time limits and structured output to any langchain chat model.
Imports only `tools`; heavy clients (openai, langchain, vllm) are imported when first used.
"""
