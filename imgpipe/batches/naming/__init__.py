"""Naming: the paths of outputs, and their conflicts."""
