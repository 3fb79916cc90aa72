"""Publishing: finished outputs in their places, and their lines in the journal."""
