"""Conformance of formats."""
