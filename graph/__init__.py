"""How the nodes are wired, stored, started, branched and run in batches.

Holds the LangGraph graph (`build`, `routes`), runs in a store (`runs`, `batch`, `store/`), the
start of a run (`seeds`, `checking`), and what a LangGraph server loads (`studio`).
May import `nodes` and `tools`.
"""
