"""What the kernels are compared with, one family a file."""
