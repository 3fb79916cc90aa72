"""JPEG files: what is read from them, and what is written to them."""

from __future__ import annotations

from imgpipe.testing import FormatSuite


class TestConformance(FormatSuite):
    format = "jpeg"
