"""Kernels: NumPy over padded chunks. They know no filter."""
