"""Processes: our own pool of worker processes, and what starts, watches and ends them."""
