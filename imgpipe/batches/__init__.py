"""Batches: many files as one job, from the walk through folders to the journal."""
