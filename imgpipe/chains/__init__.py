"""Chains: filters as the engine sees them, from the text of a chain to its stages."""
