"""Tables of the built-in filters: modules and summaries by family; names in other programs."""

from __future__ import annotations

__all__ = ["FILTER_TABLE", "OTHER_NAMES"]

FILTER_TABLE: dict[str, dict[str, tuple[str, str]]] = {
    "Smoothing": {
        "blur": ("smoothing", "Gaussian blur."),
        "box": ("smoothing", "Box blur: the mean over a square."),
        "bilateral": ("edge_preserving", "Bilateral filter: smooth, but not across edges."),
    },
    "Sharpening and convolution": {
        "unsharp": (
            "sharpening",
            "Unsharp mask: sharpen by adding the details that a blur removes.",
        ),
        "convolve": ("convolution", "Convolve with weights of your own."),
    },
    "Edges and details": {
        "sobel": ("edges", "Find edges with the Sobel operator."),
        "scharr": ("edges", "Find edges with the Scharr operator."),
        "prewitt": ("edges", "Find edges with the Prewitt operator."),
        "laplace": ("edges", "Laplacian: the sum of the second differences along both axes."),
        "gaussian_laplace": (
            "scales",
            "Laplacian of Gaussian: second derivatives of the blurred image.",
        ),
        "difference_of_gaussians": (
            "scales",
            "Difference of Gaussians: details between two scales.",
        ),
        "emboss": ("edges", "Emboss: a relief of the image, lit from the top left."),
    },
    "Ranks": {
        "median": ("rank", "Take the median around each pixel."),
        "minimum": ("morphology", "Take the minimum around each pixel."),
        "maximum": ("morphology", "Take the maximum around each pixel."),
        "percentile": ("rank", "Take a percentile around each pixel."),
    },
    "Morphology": {
        "erode": ("morphology", "Erode: the minimum around each pixel."),
        "dilate": ("morphology", "Dilate: the maximum around each pixel."),
        "open": ("morphology", "Open: remove bright details smaller than the shape."),
        "close": ("morphology", "Close: fill dark details smaller than the shape."),
        "tophat": ("morphology", "White top-hat: the image minus its opening."),
        "blackhat": ("morphology", "Black top-hat: the closing minus the image."),
        "morphological_gradient": (
            "morphology",
            "Take the range of values around each pixel.",
        ),
    },
    "Tone": {
        "gamma": ("tone", "Gamma correction: raise every value to a power."),
        "levels": ("tone", "Move the black point, the white point and the mid tones."),
        "linear": ("tone", "Multiply every value by a factor and add an offset."),
        "invert": ("tone", "Invert every value: white becomes black."),
        "solarize": ("tone", "Invert the bright values."),
        "posterize": ("tone", "Keep only the highest bits of every value."),
        "lut": ("tables", "Look up every value in a table of your own."),
    },
    "Histogram and thresholds": {
        "autocontrast": ("histogram", "Stretch each channel to the full range of values."),
        "equalize": ("histogram", "Equalize the histogram of each channel."),
        "threshold": ("tone", "Make values above a threshold white and all others black."),
        "otsu": ("histogram", "Threshold each channel by Otsu's method."),
        "adaptive_threshold": (
            "local_threshold",
            "Make pixels white that are brighter than their neighbourhood.",
        ),
    },
    "Colour and channels": {
        "grayscale": ("colour", "Reduce colours to gray, with a weight for red, green and blue."),
        "sepia": ("colour", "Give the image the brown of an old photograph."),
        "tint": ("colour", "Tint the image with a colour."),
        "mix_channels": ("colour", "Mix the channels with a matrix of your own."),
        "blend": ("colour", "Mix with a second image of the same size."),
    },
    "Geometry": {
        "crop": ("shape", "Cut out a part of the image."),
        "flip": ("shape", "Mirror the image top to bottom or left to right."),
        "rotate": ("shape", "Rotate the image counter-clockwise by a multiple of 90 degrees."),
        "resize": ("resizing", "Resize the image."),
        "thumbnail": ("thumbnails", "Make a small image that fits into a size."),
    },
    "Conversion": {
        "astype": ("conversion", "Convert every value to another type."),
        "to_rgb": ("layouts", "Convert gray or CMYK to RGB."),
        "flatten": ("layouts", "Lay the image over a background of one colour."),
    },
}

OTHER_NAMES = {
    "gauss": "blur",
    "gaussian": "blur",
    "gaussblur": "blur",
    "gaussian_blur": "blur",
    "gaussian_filter": "blur",
    "average": "box",
    "mean": "box",
    "uniform": "box",
    "sharpen": "unsharp",
    "unsharp_mask": "unsharp",
    "conv": "convolve",
    "laplacian": "laplace",
    "dog": "difference_of_gaussians",
    "rank": "percentile",
    "quantile": "percentile",
    "erosion": "erode",
    "dilation": "dilate",
    "opening": "open",
    "closing": "close",
    "gradient": "morphological_gradient",
    "contrast": "levels",
    "brightness": "linear",
    "multiply": "linear",
    "negate": "invert",
    "negative": "invert",
    "normalize": "autocontrast",
    "normalise": "autocontrast",
    "rescale_intensity": "autocontrast",
    "stretch": "autocontrast",
    "equalize_hist": "equalize",
    "binarize": "threshold",
    "gray": "grayscale",
    "grey": "grayscale",
    "rgb2gray": "grayscale",
    "to_gray": "grayscale",
    "composite": "blend",
    "mirror": "flip",
    "flop": "flip",
    "rot90": "rotate",
    "enlarge": "resize",
    "zoom": "resize",
    "cast": "astype",
    "dtype": "astype",
}
"""Names that other programs use, and the filter that is nearest; for suggestions."""
