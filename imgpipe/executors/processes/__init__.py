"""Processes: our own pool of worker processes, their start, supervision and end."""
