"""Functions of other libraries, for a comparison with kernels. One family a file."""
