"""Progress: lines, bars and lists that show a batch to people and programs."""
