"""Patterns: which paths they match, one name at a time."""

from __future__ import annotations

import os

import pytest

from imgpipe.batches.inputs.patterns import Pattern, has_wildcards, split_pattern


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.tif", "a.tif", True),
        ("*.tif", "a.png", False),
        ("*.tif", "b/a.tif", False),
        ("**/*.tif", "a.tif", True),
        ("**/*.tif", "b/c/a.tif", True),
        ("**/*.tif", "b/c/a.png", False),
        ("a/**/z.png", "a/z.png", True),
        ("a/**/z.png", "a/b/c/z.png", True),
        ("a/**/z.png", "b/z.png", False),
        ("**/b/**/*.png", "a/b/c/d.png", True),
        ("**/b/**/*.png", "a/c/d.png", False),
        ("scan?[0-9].tif", "scanA7.tif", True),
        ("scan?[!0-9].tif", "scanA7.tif", False),
        ("*", "folder/inside/it.png", True),  # a folder that matches is walked
        ("**", "any/where.png", True),
        ("", "any/where.png", True),
        ("./*.png", "a.png", True),
        ("a.b", "aXb", False),
    ],
)
def test_a_pattern_matches_these_paths(pattern: str, path: str, matches: bool) -> None:
    assert Pattern(pattern.replace("/", os.sep)).matches(path.replace("/", os.sep)) is matches


def test_no_folder_is_entered_in_vain() -> None:
    pattern = Pattern(os.path.join("2024", "*", "*.tif"))
    inside = pattern.after(pattern.start, "2024")
    assert inside
    assert not pattern.ends(inside)
    assert not pattern.after(pattern.start, "2023")


def test_case_counts_unless_it_is_ignored() -> None:
    assert not Pattern("*.tif").matches("A.TIF")
    assert Pattern("*.tif").ignoring_case().matches("A.TIF")


@pytest.mark.parametrize(
    ("pattern", "root", "rest"),
    [
        ("scans/**/*.tif", "scans", "**/*.tif"),
        ("*.tif", "", "*.tif"),
        ("/*.tif", "/", "*.tif"),
        ("/data/a[1]/x.png", "/data", "a[1]/x.png"),
        ("a/b/c?.png", "a/b", "c?.png"),
    ],
)
def test_a_walk_begins_in_the_longest_folder_without_wildcard(
    pattern: str, root: str, rest: str
) -> None:
    assert split_pattern(pattern) == (root, rest)


def test_characters_that_make_a_pattern() -> None:
    assert all(has_wildcards(text) for text in ("*.png", "a?.png", "y[1].png"))
    assert not any(has_wildcards(text) for text in ("a.png", "{a}.png", "$HOME~%s.png"))
