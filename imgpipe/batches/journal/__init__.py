"""Journal: the finished outputs of earlier runs, and the comparison with the files on the disk."""
