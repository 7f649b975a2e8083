"""Outcomes of tests."""
