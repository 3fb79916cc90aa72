"""JPEG coding, for the formats that hold JPEG data: JPEG files and TIFF.

::

    markers ──▶ strict      decoding that notices damage
       │   └──▶ restarts    decoding of parts of a file
       └──────▶ encoding    rows of MCUs that are joined to one file

An MCU is the smallest block of pixels that JPEG codes: 8 x 8 to 16 x 16 pixels. A restart interval
is a number of MCUs that can be decoded without those before them.
"""
