"""Feeds: ways of the pixels to the workers, one per file."""
