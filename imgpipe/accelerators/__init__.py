"""Accelerators: one file for each library."""
