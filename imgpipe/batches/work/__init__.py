"""Work: the files of a batch on their way through the workers of one crew."""
