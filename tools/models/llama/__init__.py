"""Local models on this machine's processor, through llama.cpp (extra `local`).

Holds the catalogue of models, how their files are fetched, and the process that serves one.
"""
