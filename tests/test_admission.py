"""Admission: every way in takes and refuses the same images in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

import imgpipe
from imgpipe.admission import admitted, type_refusal
from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter
from imgpipe.errors import FilterError, FormatError, UsageError
from imgpipe.filters import autocontrast, blend, blur, flip, invert
from imgpipe.registry import FILTERS
from tests.conftest import noise
from tests.test_conformance import required

PHOTO = noise((13, 17, 3), "uint8")
ORDERS = [">f4", ">f8", ">u2", ">i2", ">i4", ">i8"]

WAYS: dict[str, Callable[[Any, Path], object]] = {
    "apply": lambda given, _: imgpipe.apply(given, invert()),
    "apply in processes": lambda given, _: imgpipe.apply(given, blur(), executor="processes"),
    "a filter": lambda given, _: invert()(given),
    "a chain": lambda given, _: (blur() | autocontrast())(given),
    "write": lambda given, folder: imgpipe.write(given, folder / "out.png"),
    "write npy": lambda given, folder: imgpipe.write(given, folder / "out.npy"),
    "measure": lambda given, _: imgpipe.measure(given, np.sum, max),
    "iter_chunks": lambda given, _: list(imgpipe.iter_chunks(given)),
    "check": lambda given, _: imgpipe.check(invert, given),
    "a second image": lambda given, _: blend(other=given)(PHOTO),
}


class Opaque:
    """Has an array, and does not give it."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("implicit conversion is not allowed")


class Lazy:
    """Has an array, and gives it."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return PHOTO


REFUSED: dict[str, tuple[Any, str]] = {
    "bool": (PHOTO > 3, r"bool, .*mask \* np.uint8\(255\)"),
    "complex": (PHOTO * 1j, r"complex128 .*\.real"),
    "objects": (PHOTO.astype(object), "objects, .*astype"),
    "text": (np.full((3, 3), "a"), "text"),
    "bytes in an array": (np.full((3, 3), b"a"), "text"),
    "dates": (np.zeros((3, 3), "M8[s]"), "dates; convert them to numbers by array.astype"),
    "times": (np.zeros((3, 3), "m8[s]"), "times; convert them to numbers by array.astype"),
    "structures": (np.zeros((3, 3), [("r", "u1"), ("g", "u1")]), r"structures, .*array\['name'\]"),
    "a masked array": (np.ma.masked_less(PHOTO, 9), r"masked array.*array.filled\(value\)"),
    "masked, but nothing": (np.ma.array(PHOTO), r"masked array.*array.filled\(value\)"),
    "a sparse matrix": (sparse.csr_matrix(PHOTO[..., 0]), r"sparse matrix.*toarray\(\)"),
    "a number": (3, r"shape \(\); an image is an array of \(rows, columns\)"),
    "a line": (PHOTO[0, :, 0], r"shape \(17,\); an image is"),
    "four dimensions": (PHOTO[None], r"shape \(1, 13, 17, 3\); an image is"),
    "no rows": (PHOTO[:0], "at least one pixel"),
    "no channels": (PHOTO[..., :0], "at least one pixel"),
    "no list": ([], "at least one pixel"),
    "uneven rows": ([[1, 2], [3]], "rows of the same length"),
    "rows of bool": ([[True, False]], "bool"),
    "rows of text": ([["a", "b"]], "text"),
    "bytes": (b"\x00\x01", "bytes"),
    "None": (None, "None"),
    "an object": (object(), "object"),
    "a function": (np.sum, "not an array"),
    "what refuses": (Opaque(), "implicit conversion is not allowed"),
    "a palette": (Image.new("P", (5, 4)), r"mode 'P', .*image.convert\('RGB'\)"),
    "a bitmap": (Image.new("1", (5, 4)), r"mode '1', .*image.convert\('L'\)"),
    "CMYK": (Image.new("CMYK", (5, 4)), r"image.convert\('RGB'\)"),
    "YCbCr": (Image.new("YCbCr", (5, 4)), r"image.convert\('RGB'\)"),
    "LAB": (Image.new("LAB", (5, 4)), "ImageCms"),
}
if np.dtype(np.longdouble).itemsize > 8:
    REFUSED["long doubles"] = (PHOTO.astype(np.longdouble), r"does not support; .*float64")


@pytest.mark.parametrize("what", REFUSED)
def test_every_way_in_refuses_a_value_that_is_no_image(what: str, tmp_path: Path) -> None:
    given, says = REFUSED[what]
    for way, enter in WAYS.items():
        if given is None and way in ("check", "a second image"):
            continue  # there is no picture of one's own, and no second image yet
        with pytest.raises(UsageError, match=says) as caught:
            enter(given, tmp_path)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_write_says_that_the_array_comes_first() -> None:
    with pytest.raises(UsageError, match=r"takes the array first: imgpipe.write\(array, 'a.png'\)"):
        imgpipe.write("a.png", np.zeros((2, 3), np.uint8))  # type: ignore[arg-type]


def test_a_path_is_no_image_in_memory() -> None:
    for given in ("big.png", Path("big.png")):
        for way in ("apply", "a filter", "a chain", "write"):
            with pytest.raises(UsageError, match=r"path 'big.png'; use imgpipe.run .*imgpipe.read"):
                WAYS[way](given, Path("."))


TAKEN: dict[str, Any] = {
    "rows of numbers": PHOTO.tolist(),
    "a matrix": np.matrix(PHOTO[..., 0]),
    "a Pillow image": Image.fromarray(PHOTO),
    "a gray Pillow image": Image.fromarray(PHOTO[..., 0]),
    "a deep Pillow image": Image.fromarray(noise((5, 6), "uint16")),
    "a Pillow image with alpha": Image.fromarray(noise((5, 6, 4), "uint8")),
    "an object with an array": Lazy(),
    "a view": PHOTO[::-2, 1::3, ::-1],
    "columns first": np.asfortranarray(PHOTO),
    "one channel of three": PHOTO[..., 1],
    "broadcast": np.broadcast_to(PHOTO[0], (5, 17, 3)),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_value_that_numpy_understands_is_its_array(
    what: str, pool: Executor, tmp_path: Path
) -> None:
    given, array = TAKEN[what], np.asarray(TAKEN[what]).copy()
    chain = blur(sigma=1) | flip()
    expected = chain(array)
    for made in (
        chain(given),
        imgpipe.apply(given, chain),
        imgpipe.apply(given, chain, executor="serial", chunk=5),
        imgpipe.apply(given, chain, executor=pool),
    ):
        assert type(made) is np.ndarray
        np.testing.assert_array_equal(made, expected, strict=True)
    imgpipe.write(given, tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array)
    assert imgpipe.measure(given, np.sum, lambda a, b: a + b) == array.sum()
    pixels = np.concatenate([p for _, p in imgpipe.iter_chunks(given, (4, 99))])
    np.testing.assert_array_equal(pixels.reshape(array.shape), array)
    mixed = blend(other=given)
    np.testing.assert_array_equal(mixed(given), blend(other=array)(array))
    assert mixed == blend(other=array)


def test_read_only_and_mapped_arrays_are_images(pool: Executor, tmp_path: Path) -> None:
    fixed = PHOTO.copy()
    fixed.flags.writeable = False
    np.save(tmp_path / "a.npy", PHOTO)
    for given in (fixed, np.load(tmp_path / "a.npy", mmap_mode="r")):
        for executor in ("serial", pool):
            made = imgpipe.apply(given, blur(), executor=executor)
            assert type(made) is np.ndarray
            np.testing.assert_array_equal(made, blur()(PHOTO))


def test_an_array_that_can_be_used_as_it_is_is_not_copied() -> None:
    for given in (PHOTO, PHOTO[::-1], PHOTO[..., 0]):
        image = admitted(given)
        assert np.shares_memory(image.read(image.info.box), given)
    seen = []

    @filter(halo=0)
    def looking(chunk):
        seen.append(np.shares_memory(chunk, PHOTO))
        return chunk

    imgpipe.apply(PHOTO, looking(), executor="serial")
    looking()(PHOTO)
    assert seen == [True, True]


@pytest.mark.parametrize("what", ["bool", "complex", "objects", "structures", "dates", "text"])
def test_files_of_other_types_are_refused_by_the_same_words(what: str, tmp_path: Path) -> None:
    given, says = REFUSED[what]
    path = tmp_path / "given.npy"
    np.save(path, given)
    np.save(tmp_path / "photo.npy", PHOTO)
    for enter in (
        lambda: imgpipe.run(path, invert(), tmp_path / "o.npy"),
        lambda: imgpipe.read(path),
        lambda: imgpipe.info(path),
        lambda: imgpipe.measure(path, np.sum, max),
        lambda: imgpipe.iter_chunks(path),
        lambda: imgpipe.check(invert, path),
        lambda: imgpipe.run(tmp_path / "photo.npy", blend(other=path), tmp_path / "o.npy"),
    ):
        with pytest.raises(FormatError, match=says) as caught:
            enter()
        assert str(caught.value).startswith(f"{path}: ")
    assert not (tmp_path / "o.npy").exists()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda chunk: np.ma.masked_less(chunk, 9), r"masked array.*filled\(value\)"),
        (lambda chunk: sparse.csr_matrix(chunk[..., 0]), r"sparse matrix.*toarray\(\)"),
        (lambda chunk: chunk * 1j, "complex128"),
        (lambda chunk: np.full(chunk.shape, object()), "object"),
        (lambda chunk: [[1, 2], [3]], "rows of the same length"),
        (lambda chunk: "text", "returned a str; return an array"),
        (lambda chunk: None, "returned a NoneType; return an array"),
        (lambda chunk: np.array(3), "0 dimensions"),
        (lambda chunk: chunk.astype("M8[s]"), "datetime64"),
    ],
)
def test_results_of_functions_obey_the_same_rule(made: Callable[..., Any], says: str) -> None:
    one = filter(halo=0, name="own")(made)()
    for enter in (lambda: one(PHOTO), lambda: imgpipe.apply(PHOTO, one, executor="serial")):
        with pytest.raises(FilterError, match=f"own: .*{says}"):
            enter()


def test_a_function_may_return_whatever_is_an_image() -> None:
    returns: list[Callable[..., Any]] = [
        lambda chunk: chunk.tolist(),
        Image.fromarray,
        lambda chunk: np.asfortranarray(chunk).astype(">u2"),
        lambda chunk: chunk.astype(">f8"),
        lambda chunk: chunk.astype(np.longdouble),
    ]
    for made in returns:
        one = filter(halo=0, name="own")(made)()
        np.testing.assert_array_equal(one(PHOTO), PHOTO, strict=True)


@pytest.mark.parametrize("declared", ["bool", "complex64", "object", "U3", "M8[s]", "u1,u1"])
def test_no_filter_can_declare_to_make_what_is_no_image(declared: str) -> None:
    with pytest.raises(imgpipe.errors.DeclarationError, match="output_dtype cannot be"):
        filter(halo=0, output_dtype=declared)(lambda chunk: chunk)


def test_types_of_other_libraries_are_refused() -> None:
    assert not type_refusal(np.dtype("<u2"))
    assert not type_refusal(np.dtype(np.longlong))
    assert admitted(np.zeros((2, 2), np.longlong)).info.dtype == np.int64
    tagged = np.dtype(np.uint8, metadata={"unit": "lux"})
    assert admitted(np.zeros((2, 2), tagged)).info.dtype.metadata is None


# --- byte order ---------------------------------------------------------------------------


def in_floats_or_levels(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    values = noise(shape, "uint16")
    return (values / 65535).astype(kind) if kind.kind == "f" else (values // 3).astype(kind)


def attempt(do: Callable[[], Any]) -> Any:
    """Return the result, or the words of the refusal without the name of the image."""
    try:
        with np.errstate(all="ignore"):  # as in a run
            return do()
    except imgpipe.ImgpipeError as error:
        return str(error).removeprefix("array: ")


@pytest.mark.parametrize("dtype", ORDERS)
def test_the_order_of_bytes_changes_no_value_of_any_filter(dtype: str, tmp_path: Path) -> None:
    foreign = in_floats_or_levels((19, 23, 3), dtype)
    native = foreign.astype(foreign.dtype.newbyteorder("="))
    np.save(tmp_path / "in.npy", foreign)
    for name in FILTERS:
        given = required(name, (19, 23, 3), "float32" if native.dtype.kind == "f" else "uint16")
        if "other" in given:
            given["other"] = native[::-1]
        one = FILTERS.load(name)(**given)
        expected = attempt(lambda one=one: one(native))
        if "other" in given:
            one = FILTERS.load(name)(other=foreign[::-1])
        for do in (
            lambda one=one: one(foreign),
            lambda one=one: imgpipe.apply(foreign, one, executor="serial", chunk=8),
        ):
            made = attempt(do)
            np.testing.assert_array_equal(made, expected, err_msg=name, strict=True)
        if isinstance(expected, np.ndarray):
            imgpipe.run(tmp_path / "in.npy", one, tmp_path / "o.npy", executor="serial")
            made = np.load(tmp_path / "o.npy")
            assert made.dtype == expected.dtype
            assert made.dtype.isnative
            np.testing.assert_array_equal(made, expected.reshape(made.shape), err_msg=name)


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_in_the_order_of_another_machine(order: str, pool: Executor, tmp_path: Path) -> None:
    native = noise((40, 31, 3), "uint16")
    path = tmp_path / "in.npy"
    np.save(path, np.asarray(native, ">u2", order=order))
    assert imgpipe.info(path).dtype == np.uint16
    assert imgpipe.info(path).dtype.isnative
    for box in (None, (3, 2, 20, 30)):
        made = imgpipe.read(path, box)
        assert made.dtype.isnative
        part = native if box is None else native[3:20, 2:30]
        np.testing.assert_array_equal(made, part)
    imgpipe.run(path, blend(other=path), tmp_path / "o.npy", executor=pool)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), native)
    mapped = np.load(path, mmap_mode="r")
    for executor in ("serial", "threads", pool):
        made = imgpipe.apply(mapped, blur() | flip(), executor=executor)
        np.testing.assert_array_equal(made, (blur() | flip())(native), strict=True)
    seams = [p for _, p in imgpipe.iter_chunks(mapped, 16, halo=2)]
    assert {p.dtype for p in seams} == {np.dtype(np.uint16)}
    assert all(p.dtype.isnative for p in seams)


def test_functions_of_ones_own_see_and_make_values_in_the_order_of_this_machine(
    tmp_path: Path,
) -> None:
    @filter(halo=1, output_dtype=">f4")
    def own(chunk):
        assert chunk.dtype.isnative
        return (chunk > 7).astype(">f8") * 3

    foreign = noise((9, 8, 2), "uint16").astype(">u2")
    chain: Chain = own() | own()
    made = imgpipe.apply(foreign, chain, workers=1)
    assert made.dtype == np.float32
    assert made.dtype.isnative
    np.testing.assert_array_equal(made, chain(foreign.astype(np.uint16)))

    def wide(chunk):
        assert chunk.dtype.isnative
        return int(chunk.max())

    assert imgpipe.measure(foreign, wide, max, executor="serial") == int(foreign.max())


def test_the_result_is_put_where_it_is_wanted_only_in_the_order_of_this_machine() -> None:
    array = noise((9, 8, 2), "uint16")
    with pytest.raises(UsageError, match=r"out must be .* byte order of another machine"):
        imgpipe.apply(array, blur(), out=np.empty((9, 8, 2), ">u2"))
    foreign = array.astype(">u2")
    out = np.empty_like(array)
    assert imgpipe.apply(foreign, blur(), out=out) is out
    np.testing.assert_array_equal(out, blur()(array))
    for wrong in ([[1]], np.ma.array(out), Image.new("L", (8, 9)), 3, list):
        with pytest.raises(UsageError, match="out"):
            imgpipe.apply(array, blur(), out=wrong)


# --- alpha --------------------------------------------------------------------------------


@pytest.fixture
def rgba(tmp_path: Path) -> Path:
    pixels = noise((21, 18, 4), "uint8")
    imgpipe.write(pixels, tmp_path / "rgba.png")
    np.save(tmp_path / "rgba.npy", pixels)
    return tmp_path / "rgba.png"


@pytest.mark.parametrize("chain", [invert(), blur(), blur() | invert()], ids=repr)
def test_alpha_of_an_array_is_what_the_caller_says(chain: Chain, rgba: Path) -> None:
    pixels, out = imgpipe.read(rgba), rgba.with_name("out.png")
    imgpipe.run(rgba, chain, out)
    expected = imgpipe.read(out)
    for alpha in (3, -1, "last", np.int64(3), imgpipe.info(rgba).alpha):
        np.testing.assert_array_equal(chain(pixels, alpha=alpha), expected)
        np.testing.assert_array_equal(imgpipe.apply(pixels, chain, alpha=alpha), expected)
        imgpipe.run(rgba.with_suffix(".npy"), chain, out, alpha=alpha)
        np.testing.assert_array_equal(imgpipe.read(out), expected)
    without = chain(pixels)
    assert (without[..., 3] != expected[..., 3]).any()
    for nothing in (None, "none"):
        np.testing.assert_array_equal(imgpipe.apply(pixels, chain, alpha=nothing), without)
        imgpipe.run(rgba.with_suffix(".npy"), chain, out, alpha=nothing)
        np.testing.assert_array_equal(imgpipe.read(out), without)


def test_an_alpha_that_cannot_be_is_refused(rgba: Path) -> None:
    pixels = imgpipe.read(rgba)
    for wrong in (0, 2, 4, True, "first", 3.0, [3], b"last"):
        for enter in (
            lambda wrong=wrong: imgpipe.apply(pixels, invert(), alpha=wrong),
            lambda wrong=wrong: invert()(pixels, alpha=wrong),
            lambda wrong=wrong: imgpipe.write(pixels, rgba, alpha=wrong),
            lambda wrong=wrong: imgpipe.measure(pixels, np.sum, max, alpha=wrong),
            lambda wrong=wrong: imgpipe.run(rgba.with_suffix(".npy"), invert(), rgba, alpha=wrong),
            lambda wrong=wrong: imgpipe.run(rgba, invert(), rgba, alpha=wrong),
        ):
            with pytest.raises(
                UsageError, match=r"alpha must be the .*last channel( \(3 or|,) 'last'\)? or 'none'"
            ):
                enter()
    with pytest.raises(UsageError, match="an image of one channel has no alpha"):
        imgpipe.apply(pixels[..., 0], invert(), alpha="last")


def test_a_file_that_says_what_alpha_is_is_believed(rgba: Path) -> None:
    out = rgba.with_name("out.png")
    imgpipe.run(rgba, invert(), out, alpha="last")
    with pytest.raises(UsageError, match=r"rgba.png: .* declares that channel 3 is alpha"):
        imgpipe.run(rgba, invert(), out, alpha="none")
    rgb = rgba.with_name("rgb.png")
    imgpipe.write(PHOTO, rgb)
    imgpipe.run(rgb, invert(), out, alpha="none")
    with pytest.raises(UsageError, match=r"rgb.png: .* declares that there is no alpha; leave"):
        imgpipe.run(rgb, invert(), out, alpha="last")


def test_alpha_that_appears_in_the_output_only_is_reported(
    rgba: Path, caplog: pytest.LogCaptureFixture
) -> None:
    array, out = rgba.with_suffix(".npy"), rgba.with_name("out.png")
    imgpipe.run(array, flip(), out)  # moves alpha like all else
    imgpipe.run(array, invert(), out, alpha="none")
    imgpipe.run(array, invert(), out, alpha="last")
    imgpipe.run(array, invert(), out.with_suffix(".npy"))
    imgpipe.run(rgba, invert(), out)
    assert not caplog.records
    imgpipe.run(array, invert(), out)
    (told,) = caplog.messages
    assert "rgba.npy: alpha is not declared, so filters change all 4 channels" in told
    assert "--alpha last" in told


@pytest.mark.parametrize("policy", ["keep", "premultiply", "filter"])
def test_a_further_image_is_seen_like_the_first(policy: str, rgba: Path) -> None:
    seen = []

    @filter(halo=1, alpha=policy, operands=("other",))
    def looking(chunk, *, other):
        seen.append((chunk.dtype, chunk.shape))
        assert (other.dtype, other.shape) == (chunk.dtype, chunk.shape)
        np.testing.assert_array_equal(other, chunk)
        return chunk

    pixels = imgpipe.read(rgba)
    for border in ("edge", "wrap"):
        for other in (pixels, pixels.astype(">u1")):
            made = looking(other=other, border=border)(pixels, alpha="last")
            visible = pixels[..., 3] > 0
            np.testing.assert_array_equal(made[visible], pixels[visible])
        imgpipe.run(rgba, looking(other=rgba, border=border), rgba.with_name("o.png"))
    assert seen


def test_a_further_image_of_another_kind_keeps_its_kind_beyond_the_border() -> None:
    other = (noise((13, 17, 1), "uint8") / 255).astype(np.float32)

    @filter(halo=2, operands=("other",))
    def own(chunk, *, other):
        assert other.dtype == np.float32
        return np.broadcast_to(other * 255, chunk.shape)

    expected = np.rint(np.broadcast_to(other * 255, PHOTO.shape)).astype(np.uint8)
    for border in ("edge", "wrap"):
        np.testing.assert_array_equal(own(other=other, border=border)(PHOTO), expected)
