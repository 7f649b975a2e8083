"""A chat model from a spec string."""
