"""The LangGraph graph, and what runs it: store, start, branch, batch.

Holds the LangGraph graph (`build`, `routes`), runs in a store (`runs`, `batch`, `store/`), the
start of a run (`seeds`, `checking`), and what a LangGraph server loads (`studio`).
May import `nodes` and `tools`.
"""
