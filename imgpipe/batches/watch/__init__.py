"""Watching: files are made as they arrive in a folder."""
