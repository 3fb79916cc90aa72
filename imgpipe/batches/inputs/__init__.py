"""Inputs: the files that folders, patterns and lists name."""
