"""Reports of a batch in a file: a page for people, JSON or CSV for programs."""
