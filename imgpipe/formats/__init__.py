"""Image file formats: one file each, all of them Sources, Sinks or both."""
