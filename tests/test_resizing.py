"""Resizing: the pixels are the weighted means that were promised, however the image is cut."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

import imgpipe
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.stages import resolve
from imgpipe.errors import ParameterError, UsageError
from imgpipe.filters import blur, crop, flip, resize
from imgpipe.filters.resizing import new_size
from imgpipe.image import ImageInfo, Metadata
from imgpipe.kernels.axes import Axis
from imgpipe.metadata import density_from_metres
from tests.conftest import noise

MEANS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
METHODS = ["nearest", *MEANS]
SIZES = ["50%", "30%", "4%", "130%", "410%", "41x37!", "201x29!", "1x1!", "100%"]


def exact(array: np.ndarray, shape: tuple[int, ...], method: str) -> np.ndarray:
    """Resize by sums in double precision, written as plainly as can be."""
    for axis in (0, 1):
        weights = matrix(array.shape[axis], shape[axis], method)
        array = np.moveaxis(np.tensordot(weights, array, (1, axis)), 0, axis)
    return array


def matrix(before: int, after: int, method: str) -> np.ndarray:
    """Return the weights of every input pixel in every output pixel."""
    scale = before / after
    stretch = max(scale, 1.0)
    middle = (np.arange(after)[:, None] + 0.5) * scale
    x = np.abs(np.arange(before) + 0.5 - middle) / stretch
    if before == after:
        return np.eye(before)
    if method == "bilinear":
        weights = np.clip(1 - x, 0, None)
    elif method == "bicubic":
        weights = np.select(
            [x < 1, x < 2],
            [1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2],
        )
    else:
        weights = np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weights / weights.sum(1, keepdims=True)


def pillow(array: np.ndarray, shape: tuple[int, ...], method: str) -> np.ndarray:
    """Resize in Pillow, each channel as floats: its way of integers clips between the passes."""
    channels = [
        Image.fromarray(array[..., c].astype(np.float32)).resize(shape[1::-1], MEANS[method])
        for c in range(array.shape[2])
    ]
    return np.stack([np.asarray(one) for one in channels], axis=2)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", MEANS)
def test_bytes_are_those_of_pillow_and_the_exact_ones(
    method: str, size: str, photo: np.ndarray
) -> None:
    for array in (photo, noise((61, 83, 3), "uint8")):
        made = resize(size=size, method=method)(array)
        assert made.dtype == np.uint8
        for other in (pillow, exact):
            error = np.abs(made - np.clip(other(array, made.shape, method), 0, 255))
            assert error.max() <= 0.63


@pytest.mark.parametrize("method", MEANS)
def test_bytes_are_those_of_pillow_as_bytes_where_nothing_is_clipped(
    method: str, photo: np.ndarray
) -> None:
    soft = (photo // 4 + 90).astype(np.uint8)
    for size in ("50%", "37%", "160%"):
        made = resize(size=size, method=method)(soft)
        theirs = Image.fromarray(soft).resize(made.shape[1::-1], MEANS[method])
        assert np.abs(made - np.asarray(theirs, int)).max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", MEANS)
def test_other_types_are_exact(method: str, size: str) -> None:
    levels = noise((61, 83, 3), "uint16")
    for array, tolerance in (
        (levels, 0.55),
        ((levels / 65535).astype(np.float32), 2e-6),
        (levels / 65535, 1e-13),
    ):
        made = resize(size=size, method=method)(array)
        wanted = exact(array.astype(np.float64), made.shape, method)
        if array.dtype == np.uint16:
            wanted = np.clip(wanted, 0, 65535)
        assert made.dtype == array.dtype
        assert_allclose(made, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int32"])
def test_nearest_takes_the_pixel_under_the_middle(channels: int, dtype: str) -> None:
    cv2 = pytest.importorskip("cv2")
    array = noise((61, 83, channels), dtype if dtype != "int32" else "uint16").astype(dtype)
    for size in SIZES:
        made = resize(size=size, method="nearest")(array)
        rows = ((np.arange(made.shape[0]) * 2 + 1) * 61) // (2 * made.shape[0])
        columns = ((np.arange(made.shape[1]) * 2 + 1) * 83) // (2 * made.shape[1])
        assert_array_equal(made, array[rows][:, columns])
        if dtype == "uint8" and channels in (1, 3):
            # OpenCV's fixed point takes the pixel before where a middle lies between two.
            theirs = cv2.resize(array, made.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
            ties = ((np.arange(made.shape[0]) * 2 + 1) * 61) % (2 * made.shape[0]) == 0
            across = ((np.arange(made.shape[1]) * 2 + 1) * 83) % (2 * made.shape[1]) == 0
            theirs = theirs.reshape(made.shape)
            assert_array_equal(made[~ties][:, ~across], theirs[~ties][:, ~across])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_flat_images_stay_flat(method: str, dtype: str) -> None:
    for value in (0, 1, 200, 255):
        array = np.full((53, 31, 1), value, dtype)
        for size in ("3x2!", "50%", "333%", "1x1!"):
            made = resize(size=size, method=method)(array)
            assert_allclose(made, value, rtol=1e-6)


def test_the_same_size_changes_nothing() -> None:
    for dtype in ("uint8", "uint16", "float32"):
        array = noise((29, 37, 3), dtype)
        for method in METHODS:
            assert_array_equal(resize(size="37x29!", method=method)(array), array)


@settings(max_examples=60)
@given(
    before=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    after=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    channels=st.integers(1, 4),
    chunk=st.tuples(st.integers(1, 75), st.integers(1, 75)),
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from(["uint8", "uint16", "float32", "float64"]),
)
def test_any_cut_of_any_image(before, after, channels, chunk, method, dtype) -> None:
    array = noise((*before, channels), dtype)
    chain = resize(size=f"{after[1]}x{after[0]}!", method=method)
    made = imgpipe.apply(array, chain, executor="serial", chunk=chunk)
    assert_array_equal(made, chain(array))


@pytest.mark.parametrize("name", ["shrunk", "enlarged", "chained", "cropped"])
def test_every_executor_makes_the_same(name: str, executor: Executor, tmp_path: Path) -> None:
    chain = {
        "shrunk": resize(size="15%", method="lanczos"),
        "enlarged": resize(size="300%"),
        "chained": blur(sigma=2) | resize(size="20%") | flip() | resize(size="50x70!"),
        "cropped": resize(size="170%") | crop(x=31, y=17, width=40, height=50) | blur(sigma=1),
    }[name]
    array = noise((151, 97, 3), "uint8")
    np.save(tmp_path / "in.npy", array)
    for chunk in (13, None):
        imgpipe.run(tmp_path / "in.npy", chain, tmp_path / "o.npy", executor=executor, chunk=chunk)
        assert_array_equal(np.load(tmp_path / "o.npy"), chain(array))


def test_colour_is_weighted_by_alpha() -> None:
    array = np.zeros((8, 8, 4), np.uint8)
    array[:, :4] = (200, 100, 50, 255)
    array[:, 4:] = (0, 255, 0, 0)  # green, but nothing of it is to be seen
    for method in MEANS:
        made = resize(size="12x12!", method=method)(array, alpha=3)
        seen = made[..., 3] > 0
        assert np.abs(made[seen][:, :3] - np.array([200, 100, 50])).max() <= 1
        assert_array_equal(made[~seen], 0)
        assert made[..., 3].max() == 255
        for chunk in (3, 5):
            cut = imgpipe.apply(
                array,
                resize(size="12x12!", method=method),
                alpha=3,
                executor="serial",
                chunk=chunk,
            )
            assert_array_equal(cut, made)


def test_infinity_stays_where_it_is() -> None:
    array = np.ones((40, 40, 1), np.float32)
    array[20, 20] = np.inf
    for size in ("50%", "130%"):
        made = resize(size=size, method="lanczos")(array)
        far = np.ones(made.shape[:2], bool)
        scale = made.shape[0] / 40
        reach = int(4 * max(scale, 1)) + 2
        middle = int(20.5 * scale)
        far[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1] = False
        assert_allclose(made[far], 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ("800x600", (600, 400)),
        ("300x600", (450, 300)),
        ("800x", (1200, 800)),
        ("x600", (600, 400)),
        ("x601", (601, 401)),
        ("50%", (150, 100)),
        ("12.5%", (38, 25)),
        ("200%", (600, 400)),
        ("0.001%", (1, 1)),
        ("800x600!", (600, 800)),
        ("x1", (1, 1)),
    ],
)
def test_a_size_is_written(size: str, wanted: tuple[int, int]) -> None:
    assert new_size((300, 200), size) == wanted
    assert resize(size=size)(np.zeros((300, 200, 1), np.uint8)).shape[:2] == wanted
    assert parse_chain(format_chain(resize(size=size))) == resize(size=size)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("", "is not a size"),
        ("x", "is not a size"),
        ("x!", "is not a size"),
        ("%", "is not a size"),
        ("800 x 600", "is not a size"),
        ("-5x7", "is not a size"),
        ("50%x20%", "is not a size"),
        ("1e3x5", "is not a size"),
        ("9" * 5000 + "x", "is not a size"),
        ("800", "for 800 columns write 800x"),
        ("800x!", "before ! give columns and rows"),
        ("x600!", "before ! give columns and rows"),
        ("0x600", "has no pixels"),
        ("600x0", "has no pixels"),
        ("0.0%", "has no pixels"),
    ],
)
def test_a_size_that_is_none_is_refused_when_the_filter_is_made(size: str, words: str) -> None:
    with pytest.raises(ParameterError, match="resize: size: ") as refused:
        resize(size=size)
    assert words in str(refused.value)


def test_a_size_that_no_image_can_have_is_refused() -> None:
    for size in ("9999999999x1!", "9999999999%"):
        with pytest.raises(UsageError, match="pixels; ask for fewer"):
            resize(size=size)(np.zeros((100, 1, 1), np.uint8))


@pytest.mark.parametrize("wrong", [{"size": 50}, {"size": "50%", "method": "cubic"}, {}])
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="resize: "):
        resize(**wrong)


def test_the_picture_stays_as_large_on_paper() -> None:
    metadata = Metadata(pixels_per_metre=density_from_metres(1000, 3000), pixel_aspect=(4, 3))
    info = ImageInfo(300, 200, 3, np.dtype("uint8"), None, "rgb", metadata)
    halved = resolve(resize(size="50%"), info)[-1].after
    assert (halved.height, halved.width) == (150, 100)
    assert halved.metadata.pixels_per_metre == (500, 1500)
    assert halved.metadata.pixel_aspect == (4, 3)
    squeezed = resolve(resize(size="100x300!"), info)[-1].after
    assert squeezed.metadata.pixels_per_metre == (500, 3000)
    assert squeezed.metadata.pixel_aspect == (2, 3)
    square = Metadata(pixels_per_metre=density_from_metres(1000, 1000))
    odd = ImageInfo(301, 203, 3, np.dtype("uint8"), None, "rgb", square)
    x, y = resolve(resize(size="x77"), odd)[-1].after.metadata.pixels_per_metre or (0, 1)
    assert x == y


@example(527, 935, "bilinear")  # a middle that is rounded to just below a half
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(METHODS))
def test_weights_leave_room_for_sums_of_integers(before: int, after: int, method: Any) -> None:
    axis = Axis(before, after, method)
    stop = min(after, 40)
    for part in ((0, stop), (after - stop, after)):
        weights = axis.weights(*part)
        first, last = axis.footprint(np.arange(*part))
        assert_allclose(weights.sum(1), 1, rtol=1e-12)
        assert np.abs(weights).sum(1).max() <= 1.6
        assert (np.diff(first) >= 0).all()
        assert (np.diff(last) >= 0).all()
        assert first.min() >= 0
        assert last.max() <= before
        assert ((last - first >= 1) & (last - first <= axis.taps)).all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((100, 200), "200x100!"),
        ([100, 200], "200x100!"),
        ((np.int64(100), None), "x100"),
        ((None, 200), "200x"),
        (0.5, "50%"),
        (np.float32(0.25), "25%"),
        (2.0, "200%"),
        (1 / 3, "33.3333333333%"),
        (1e-9, "0.0000001%"),
    ],
)
def test_sizes_of_python_are_rows_and_columns_or_a_factor(given: object, text: str) -> None:
    one = resize(size=given)
    assert one == resize(size=text)
    assert one.keywords["size"] == text


def test_a_pair_is_the_shape_of_the_result() -> None:
    array = noise((30, 50, 3), "uint8")
    assert resize(size=(10, 20))(array).shape == (10, 20, 3)
    assert resize(size=array.shape[:2])(array).shape == array.shape
    assert resize(size=0.5)(array).shape == (15, 25, 3)


@pytest.mark.parametrize(
    "given", [800, True, 0.0, -0.5, float("nan"), float("inf"), (10,), (1, 2, 3), (0, 5), (1.5, 2)]
)
def test_an_error_explains_a_wrong_size(given: object) -> None:
    with pytest.raises(ParameterError, match="is not a size; give text such as 800x600"):
        resize(size=given)
