"""Executors: what carries tasks to workers. Any `concurrent.futures.Executor` will do."""
