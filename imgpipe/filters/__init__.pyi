"""The filters and their parameters. Written by ``python -m imgpipe.cli.stubs``."""

from typing import Any, Literal

from imgpipe.borders import Border
from imgpipe.chains.chain import Filter, FilterFactory

__all__ = [
    "adaptive_threshold",
    "astype",
    "autocontrast",
    "bilateral",
    "blackhat",
    "blend",
    "blur",
    "box",
    "close",
    "convolve",
    "crop",
    "difference_of_gaussians",
    "dilate",
    "emboss",
    "equalize",
    "erode",
    "flatten",
    "flip",
    "gamma",
    "gaussian_laplace",
    "grayscale",
    "invert",
    "laplace",
    "levels",
    "linear",
    "lut",
    "maximum",
    "median",
    "minimum",
    "mix_channels",
    "morphological_gradient",
    "otsu",
    "percentile",
    "posterize",
    "prewitt",
    "resize",
    "rotate",
    "scharr",
    "sepia",
    "sobel",
    "solarize",
    "threshold",
    "thumbnail",
    "tint",
    "to_rgb",
    "tophat",
    "unsharp",
]


class _AdaptiveThreshold(FilterFactory):
    def __call__(
        self,
        radius: int = 15,
        offset: float = 0.08,
        method: Literal['mean', 'gaussian'] = 'mean',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Make pixels white that are brighter than their neighbourhood.

        Parameters
        ----------
        radius : int, between 1 and 300
            Pixels on each side of the centre.
        offset : float, between -1 and 1
            Subtracted from the mean, as a fraction of white.
        method : Literal['mean', 'gaussian']
            Mean over a square, or weighted by a Gaussian.
        """

adaptive_threshold: _AdaptiveThreshold


class _Astype(FilterFactory):
    def __call__(
        self,
        dtype: Any,
        range: Any = 'full',
        nan: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Convert every value to another type.

        Parameters
        ----------
        dtype : Any
            Type of the result.
        range : Any
            Values that become black and white: full, measured, keep, or two numbers such as
            0..4095.
        nan : float | None, between 0 and 1
            Value for NaN and infinity, a fraction of white; by default an error in integers.
        """

astype: _Astype


class _Autocontrast(FilterFactory):
    def __call__(
        self,
        cutoff: float = 0.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Stretch each channel to the full range of values.

        Parameters
        ----------
        cutoff : float, between 0 and 49
            Percent of the values to clip at each end.
        """

autocontrast: _Autocontrast


class _Bilateral(FilterFactory):
    def __call__(
        self,
        sigma_color: float = 0.1,
        sigma_spatial: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Bilateral filter: smooth, but not across edges.

        Parameters
        ----------
        sigma_color : float, between 0.0001 and 100
            Standard deviation of the colour difference, as a fraction of white.
        sigma_spatial : float, between 0.3 and 10
            Standard deviation in pixels.
        """

bilateral: _Bilateral


class _Blackhat(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        gain: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Black top-hat: the closing minus the image.

        Parameters
        ----------
        radius : int, between 0 and 500
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        gain : float, between 0 and 1e+06
            Factor on the result.
        """

blackhat: _Blackhat


class _Blend(FilterFactory):
    def __call__(
        self,
        other: Any,
        amount: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Mix with a second image of the same size.

        Parameters
        ----------
        other : Any
            Path of an image of the same size and kind.
        amount : float, between 0 and 1
            Weight of the second image, 0 to 1.
        """

blend: _Blend


class _Blur(FilterFactory):
    def __call__(
        self,
        sigma: float = 2.0,
        truncate: float = 4.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Gaussian blur.

        Parameters
        ----------
        sigma : float, between 0.3 and 500
            Standard deviation in pixels.
        truncate : float, between 1 and 10
            Radius in standard deviations.
        """

blur: _Blur


class _Box(FilterFactory):
    def __call__(
        self,
        radius: int = 2,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Box blur: the mean over a square.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        """

box: _Box


class _Close(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Close: fill dark details smaller than the shape.

        Parameters
        ----------
        radius : int, between 0 and 500
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

close: _Close


class _Convolve(FilterFactory):
    def __call__(
        self,
        kernel: Any,
        scale: float = 1.0,
        offset: float = 0.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Convolve with weights of your own.

        Parameters
        ----------
        kernel : Any
            Rows of numbers, separated by semicolons, or a file of rows.
        scale : float, between -1e+09 and 1e+09
            Divisor of the sum.
        offset : float, between -1 and 1
            Added to the result, as a fraction of white.
        """

convolve: _Convolve


class _Crop(FilterFactory):
    def __call__(
        self,
        x: int = 0,
        y: int = 0,
        *,
        width: int,
        height: int,
        border: Border = 'edge',
    ) -> Filter:
        """Cut out a part of the image.

        Parameters
        ----------
        x : int, at least 0
            First column.
        y : int, at least 0
            First row.
        width : int, at least 1
            Columns.
        height : int, at least 1
            Rows.
        """

crop: _Crop


class _DifferenceOfGaussians(FilterFactory):
    def __call__(
        self,
        low_sigma: float = 1.0,
        high_sigma: float | None = None,
        truncate: float = 4.0,
        gain: float | None = None,
        offset: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Difference of Gaussians: details between two scales.

        Parameters
        ----------
        low_sigma : float, between 0 and 60
            Standard deviation of the narrow Gaussian.
        high_sigma : float | None, between 0 and 100
            Standard deviation of the wide Gaussian; 1.6 times the narrow one by default.
        truncate : float, between 1 and 10
            Radius in standard deviations.
        gain : float | None, between -1e+06 and 1e+06
            Factor of the result; by default an edge from black to white spans the full range.
        offset : float, between -1 and 1
            Added to the result, as a fraction of white.
        """

difference_of_gaussians: _DifferenceOfGaussians


class _Dilate(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Dilate: the maximum around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

dilate: _Dilate


class _Emboss(FilterFactory):
    def __call__(
        self,
        strength: float = 1.0,
        offset: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Emboss: a relief of the image, lit from the top left.

        Parameters
        ----------
        strength : float, between -100 and 100
            Depth; negative values invert the relief.
        offset : float, between -1 and 1
            Added to the result, as a fraction of white.
        """

emboss: _Emboss


class _Equalize(FilterFactory):
    def __call__(
        self,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Equalize the histogram of each channel."""

equalize: _Equalize


class _Erode(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Erode: the minimum around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

erode: _Erode


class _Flatten(FilterFactory):
    def __call__(
        self,
        colour: Any = '#ffffff',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Lay the image over a background of one colour.

        Parameters
        ----------
        colour : Any
            Colour behind the image: a name, #rrggbb, or 0 to 255 for gray or for r,g,b.
        """

flatten: _Flatten


class _Flip(FilterFactory):
    def __call__(
        self,
        direction: Literal['vertical', 'horizontal'] = 'vertical',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Mirror the image top to bottom or left to right.

        Parameters
        ----------
        direction : Literal['vertical', 'horizontal']
            Vertical: top to bottom.
        """

flip: _Flip


class _Gamma(FilterFactory):
    def __call__(
        self,
        gamma: float,
        gain: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Gamma correction: raise every value to a power.

        Parameters
        ----------
        gamma : float, between 0 and 100
            Exponent: below 1 brightens, above 1 darkens.
        gain : float, between 0 and 1000
            Factor of the result.
        """

gamma: _Gamma


class _GaussianLaplace(FilterFactory):
    def __call__(
        self,
        sigma: float = 2.0,
        truncate: float = 4.0,
        gain: float | None = None,
        offset: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Laplacian of Gaussian: second derivatives of the blurred image.

        Parameters
        ----------
        sigma : float, between 0.3 and 100
            Standard deviation in pixels.
        truncate : float, between 1 and 10
            Radius in standard deviations.
        gain : float | None, between -1e+06 and 1e+06
            Factor of the result; by default an edge from black to white spans the full range.
        offset : float, between -1 and 1
            Added to the result, as a fraction of white.
        """

gaussian_laplace: _GaussianLaplace


class _Grayscale(FilterFactory):
    def __call__(
        self,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Reduce colours to gray, with a weight for red, green and blue."""

grayscale: _Grayscale


class _Invert(FilterFactory):
    def __call__(
        self,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Invert every value: white becomes black."""

invert: _Invert


class _Laplace(FilterFactory):
    def __call__(
        self,
        gain: float = 1.0,
        offset: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Laplacian: the sum of the second differences along both axes.

        Parameters
        ----------
        gain : float, between -1e+06 and 1e+06
            Factor on the result.
        offset : float, between -1 and 1
            Added to the result, as a fraction of white.
        """

laplace: _Laplace


class _Levels(FilterFactory):
    def __call__(
        self,
        in_black: float | None = None,
        in_white: float | None = None,
        gamma: float | None = None,
        out_black: float | None = None,
        out_white: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Move the black point, the white point and the mid tones.

        Parameters
        ----------
        in_black : float | None, between 0 and 1
            Value that becomes out_black.
        in_white : float | None, between 0 and 1
            Value that becomes out_white.
        gamma : float | None, between 0.01 and 100
            Above 1 brightens the mid tones.
        out_black : float | None, between 0 and 1
            Darkest value of the result.
        out_white : float | None, between 0 and 1
            Brightest value of the result.
        """

levels: _Levels


class _Linear(FilterFactory):
    def __call__(
        self,
        scale: float | None = None,
        offset: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Multiply every value by a factor and add an offset.

        Parameters
        ----------
        scale : float | None, between -1000 and 1000
            Factor: contrast.
        offset : float | None, between -1000 and 1000
            Added to the result, as a fraction of white.
        """

linear: _Linear


class _Lut(FilterFactory):
    def __call__(
        self,
        table: Any,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Look up every value in a table of your own.

        Parameters
        ----------
        table : Any
            A text or .npy file with an entry for each level, or the entries.
        """

lut: _Lut


class _Maximum(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Take the maximum around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

maximum: _Maximum


class _Median(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Take the median around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 100
            Pixels on each side of the centre.
        """

median: _Median


class _Minimum(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Take the minimum around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

minimum: _Minimum


class _MixChannels(FilterFactory):
    def __call__(
        self,
        matrix: Any,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Mix the channels with a matrix of your own.

        Parameters
        ----------
        matrix : Any
            Rows of weights, separated by semicolons, or a file of rows.
        """

mix_channels: _MixChannels


class _MorphologicalGradient(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        gain: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Take the range of values around each pixel.

        Parameters
        ----------
        radius : int, between 0 and 1000
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        gain : float, between 0 and 1e+06
            Factor on the result.
        """

morphological_gradient: _MorphologicalGradient


class _Open(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Open: remove bright details smaller than the shape.

        Parameters
        ----------
        radius : int, between 0 and 500
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        """

open: _Open


class _Otsu(FilterFactory):
    def __call__(
        self,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Threshold each channel by Otsu's method."""

otsu: _Otsu


class _Percentile(FilterFactory):
    def __call__(
        self,
        percentile: float = 50.0,
        radius: int = 1,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Take a percentile around each pixel.

        Parameters
        ----------
        percentile : float, between 0 and 100
            The percentile: 0 minimum, 50 median, 100 maximum.
        radius : int, between 0 and 100
            Pixels on each side of the centre.
        """

percentile: _Percentile


class _Posterize(FilterFactory):
    def __call__(
        self,
        bits: int = 4,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Keep only the highest bits of every value.

        Parameters
        ----------
        bits : int, between 1 and 16
            Bits to keep of each value.
        """

posterize: _Posterize


class _Prewitt(FilterFactory):
    def __call__(
        self,
        axis: Literal['magnitude', 'x', 'y'] = 'magnitude',
        offset: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Find edges with the Prewitt operator.

        Parameters
        ----------
        axis : Literal['magnitude', 'x', 'y']
            Strength of the edge, or the derivative along x or along y.
        offset : float | None, between -1 and 1
            Added to the result, as a fraction of white; 0.5 for x and y by default.
        """

prewitt: _Prewitt


class _Resize(FilterFactory):
    def __call__(
        self,
        size: Any,
        method: Literal['nearest', 'bilinear', 'bicubic', 'lanczos'] = 'bicubic',
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Resize the image.

        Parameters
        ----------
        size : Any
            New size: 800x600 (the image fits into it), 800x, x600, 50%, or 800x600! (distorts).
        method : Literal['nearest', 'bilinear', 'bicubic', 'lanczos']
            Interpolation method.
        """

resize: _Resize


class _Rotate(FilterFactory):
    def __call__(
        self,
        angle: Literal[90, 180, 270] = 90,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Rotate the image counter-clockwise by a multiple of 90 degrees.

        Parameters
        ----------
        angle : Literal[90, 180, 270]
            Degrees, counter-clockwise.
        """

rotate: _Rotate


class _Scharr(FilterFactory):
    def __call__(
        self,
        axis: Literal['magnitude', 'x', 'y'] = 'magnitude',
        offset: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Find edges with the Scharr operator.

        Parameters
        ----------
        axis : Literal['magnitude', 'x', 'y']
            Strength of the edge, or the derivative along x or along y.
        offset : float | None, between -1 and 1
            Added to the result, as a fraction of white; 0.5 for x and y by default.
        """

scharr: _Scharr


class _Sepia(FilterFactory):
    def __call__(
        self,
        strength: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Give the image the brown of an old photograph.

        Parameters
        ----------
        strength : float, between 0 and 1
            0 keeps the image, 1 is full sepia.
        """

sepia: _Sepia


class _Sobel(FilterFactory):
    def __call__(
        self,
        axis: Literal['magnitude', 'x', 'y'] = 'magnitude',
        offset: float | None = None,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Find edges with the Sobel operator.

        Parameters
        ----------
        axis : Literal['magnitude', 'x', 'y']
            Strength of the edge, or the derivative along x or along y.
        offset : float | None, between -1 and 1
            Added to the result, as a fraction of white; 0.5 for x and y by default.
        """

sobel: _Sobel


class _Solarize(FilterFactory):
    def __call__(
        self,
        threshold: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Invert the bright values.

        Parameters
        ----------
        threshold : float, between 0 and 1
            Values from this one on are inverted; a fraction of white.
        """

solarize: _Solarize


class _Threshold(FilterFactory):
    def __call__(
        self,
        value: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Make values above a threshold white and all others black.

        Parameters
        ----------
        value : float, between 0 and 1
            The threshold, as a fraction of white.
        """

threshold: _Threshold


class _Thumbnail(FilterFactory):
    def __call__(
        self,
        size: Any,
        enlarge: bool = False,
        exact: bool = False,
        keep_metadata: bool = False,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Make a small image that fits into a size.

        Parameters
        ----------
        size : Any
            Longest side in pixels, such as 800; or 800x600, which the image fits into.
        enlarge : bool
            Enlarge an image that is smaller than this size.
        exact : bool
            Decode the full size, never a smaller version.
        keep_metadata : bool
            Keep all metadata, not only those of colour.
        """

thumbnail: _Thumbnail


class _Tint(FilterFactory):
    def __call__(
        self,
        colour: Any,
        strength: float = 0.5,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Tint the image with a colour.

        Parameters
        ----------
        colour : Any
            A colour, such as #ff8000.
        strength : float, between 0 and 1
            0 keeps the image, 1 keeps no other hue.
        """

tint: _Tint


class _ToRgb(FilterFactory):
    def __call__(
        self,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Convert gray or CMYK to RGB."""

to_rgb: _ToRgb


class _Tophat(FilterFactory):
    def __call__(
        self,
        radius: int = 1,
        shape: Literal['square', 'cross', 'disk'] = 'square',
        gain: float = 1.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """White top-hat: the image minus its opening.

        Parameters
        ----------
        radius : int, between 0 and 500
            Pixels on each side of the centre.
        shape : Literal['square', 'cross', 'disk']
            Which pixels within the radius count.
        gain : float, between 0 and 1e+06
            Factor on the result.
        """

tophat: _Tophat


class _Unsharp(FilterFactory):
    def __call__(
        self,
        radius: float = 1.0,
        amount: float = 1.0,
        threshold: float = 0.0,
        *,
        border: Border = 'edge',
    ) -> Filter:
        """Unsharp mask: sharpen by adding the details that a blur removes.

        Parameters
        ----------
        radius : float, between 0.3 and 100
            Standard deviation of the blur, in pixels.
        amount : float, between -1 and 100
            How much of the detail to add.
        threshold : float, between 0 and 1
            Smaller details are not added; a fraction of white.
        """

unsharp: _Unsharp
