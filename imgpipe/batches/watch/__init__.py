"""Watching: files are made when they arrive in a folder."""
