"""Image file formats: a module or a folder for each, with a value ``FORMAT``.

A member of this open set has a row in `imgpipe.formattable`, or an entry point of another package
in the group ``imgpipe.formats``. `imgpipe.formats.declaration` explains ``FORMAT``. The other
modules here are parts that several formats share.
"""
