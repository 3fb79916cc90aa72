"""Feeds: how pixels reach the workers, one way per file."""
