"""Text and chains: what parses, what it means, and where errors point."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.chains.loading import filters_of, found_in
from imgpipe.errors import ChainError, UsageError
from imgpipe.filters import blend, blur, box, crop, flip, grayscale, invert, lut

USER_FILE = '''
import imgpipe

GAIN = 2.0


def helper(values):
    return values * GAIN


@imgpipe.filter(halo=1)
def emboss(chunk, *, strength: float = 1.0, flag: bool = False):
    """Emboss."""
    wide = helper(chunk.astype("float64"))
    return chunk[1:-1, 1:-1] + strength * (wide[2:, 2:] - wide[:-2, :-2])


def bare(chunk):
    return chunk


ready = emboss(3)
number = 3
'''


@pytest.fixture(autouse=True)
def _same_path_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "my_filter.py"
    path.write_text(USER_FILE)
    return path


class TestWhatParses:
    @pytest.mark.parametrize(
        ("text", "meaning"),
        [
            ("blur", blur()),
            ("blur:2.5", blur(2.5)),
            ("blur:2.5,3", blur(2.5, 3)),
            ("blur:sigma=2.5", blur(sigma=2.5)),
            ("blur:2.5,border=reflect", blur(2.5, border="reflect")),
            ("box:radius=3,border=wrap", box(3, border="wrap")),
            ("flip:horizontal", flip("horizontal")),
            ("crop:1,2,3,4", crop(1, 2, 3, 4)),
            ("blur|grayscale", blur() | grayscale()),
            ("blur:2 | grayscale | invert", blur(2) | grayscale() | invert()),
            ("  blur : sigma = 2 , truncate = 3 |grayscale ", blur(2, 3) | grayscale()),
            ("blur:\n  sigma=2\n| invert", blur(2) | invert()),
            ('blur:"2"', blur(2)),
            ("'blur':sigma='2'", blur(2)),
        ],
    )
    def test_a_chain(self, text: str, meaning: Chain) -> None:
        assert parse_chain(text) == meaning

    def test_one_filter_is_a_filter(self) -> None:
        assert isinstance(parse_chain("blur:2"), Filter)

    @pytest.mark.parametrize(
        ("word", "value"),
        [
            ('"a|b:c,d=e f.png"', "a|b:c,d=e f.png"),
            ("'say \"hi\".png'", 'say "hi".png'),
            (r'"say \"hi\".png"', 'say "hi".png'),
            (r"'it\'s.png'", "it's.png"),
            (r'"a\\b.png"', r"a\b.png"),
            (r'"C:\new\x.png"', r"C:\new\x.png"),
            (r"C:\new\x.png", r"C:\new\x.png"),
            ("D:/x.png", "D:/x.png"),
            (r"a\b.png", r"a\b.png"),
            ('""', ""),
            ("über.png", "über.png"),
        ],
    )
    def test_a_word(self, word: str, value: str) -> None:
        assert parse_chain(f"blend:{word}") == blend(value)
        assert parse_chain(f"blend: other={word}, amount=0.25") == blend(value, 0.25)


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "position", "says"),
        [
            ("", 0, "chain is empty"),
            ("   ", 3, "chain is empty"),
            ("|", 0, "filter is missing"),
            ("blur|", 5, "filter is missing"),
            ("blur||invert", 5, "filter is missing"),
            ("blur | blurr", 7, "no filter 'blurr'; did you mean 'blur'?"),
            ("Blur", 0, "did you mean 'blur'?"),
            ("zzzzzz", 0, "there is no filter 'zzzzzz'; imgpipe filters lists them"),
            ("blur:sigm=2", 5, "blur has no parameter 'sigm'; did you mean 'sigma'?"),
            ("grayscale:x=2", 10, "grayscale has no parameter 'x'; its parameters: border"),
            ("blur:-2", 5, "sigma must be a number between 0.3 and 500, not -2"),
            ("blur:sigma=big", 11, "sigma must be a number between 0.3 and 500, not 'big'"),
            ("blur:sigma=-1", 11, "between 0.3 and 500"),
            ("blur:nan", 5, "sigma must be a number"),
            ("box:1.5", 4, "radius must be a whole number"),
            ("flip:up", 5, "one of vertical, horizontal"),
            ("blur:border=none", 12, "one of edge, symmetric"),
            ("blur:", 5, "value is missing"),
            ("blur:2,", 7, "value is missing"),
            ("blur:,2", 5, "value is missing"),
            ("blur:sigma=", 11, 'value is missing after "="'),
            ("blur:1,2,3", 9, "too many values; its parameters: sigma, truncate"),
            ("grayscale:1", 10, "too many values; its parameters: none"),
            ("blur:sigma=2,3", 13, "values without a name come before"),
            ("blur:2,sigma=3", 7, "sigma is given twice"),
            ("blur:sigma=2,sigma=3", 13, "sigma is given twice"),
            ("crop:1,2", 0, "needs a value for width, height"),
            ("blur:2 3", 7, "is missing before this word"),
            ("blur:2:3", 6, "unexpected ':'"),
            ("blur=2", 4, "unexpected '='"),
            ('blur:"2', 5, "this quote is not closed"),
            ('blur:"2\\"', 5, "this quote is not closed"),
            ('blur:"2"x', 8, "text follows the closing quote"),
            ("blend:it's.png", 8, "quote inside a word"),
            ("nowhere.py:emboss", 0, "there is no such file"),
            ("./nowhere:emboss", 0, "there is no such file"),
            ("nowhere.py", 10, "name one of its functions: nowhere.py:function"),
            ('"no where.py":', 14, 'name one of its functions: "no where.py":function'),
            ("no.where:emboss", 0, "there is no module 'no.where'"),
            ("os.path:join", 0, "@imgpipe.filter(halo=N)"),
            ("imgpipe.filters:zzz", 0, "it has no filter or function 'zzz'"),
            ("os.path.join", 12, "os.path.join: write a colon before the function: os.path:join"),
            (
                "os.path.join:a=2",
                0,
                "no module 'os.path.join'; write a colon before the function: os.path:join",
            ),
            ("scipy.ndimag:size", 0, "no module 'scipy.ndimag'; install it, run from"),
            ("os.path", 7, "os.path: name one of its functions: os.path:function"),
            ("no.where", 8, "no.where: name one of its functions: no.where:function"),
            ("os.path:joim", 0, "it has no filter or function 'joim'; did you mean 'join'?"),
            ("invert|blur( sigma = 2 )", 7, "write blur:sigma=2; a chain has no brackets"),
            ("blur(2, border='wrap')", 0, "write blur:2,border='wrap'; a chain"),
            ("invert()", 0, "write invert; a chain has no brackets"),
            ("my_filter.py:emboss(2)", 13, "write emboss:2; a chain"),
            ("blur(", 0, "write blur:parameter=value; a chain has no brackets"),
            ("blur(sigma=(2, 2))", 0, "write blur:parameter=value; a chain has no brackets"),
            ("numpy:clip(2", 6, "write clip:parameter=value; a chain"),
            (
                "scipy.ndimage:uniform_filter:halo=9,size=3,3,1,mode=wrap",
                43,
                'before those with one; a list is written in quotes: size="3,3,1"',
            ),
            ("scipy.ndimage:median_filter:size=3, 3,halo=9", 36, 'in quotes: size="3,3"'),
            ("scipy.ndimage:uniform_filter:halo=2,1", 36, 'in quotes: halo="2,1"'),
        ],
    )
    def test_points_at_the_character(self, text: str, position: int, says: str) -> None:
        with pytest.raises(ChainError) as caught:
            parse_chain(text)
        assert says in caught.value.message
        assert "-2.0" not in caught.value.message  # as it was written
        assert (caught.value.text, caught.value.position) == (text, position)

    @given(st.text(alphabet="blurinvet:|,= '\"\\2x\n"))
    def test_any_text_is_a_chain_or_an_error(self, text: str) -> None:
        try:
            parse_chain(text)
        except ChainError as error:
            position = error.position
        else:
            position = 0
        assert 0 <= position <= len(text)


class TestFilesOfTheUser:
    def test_path_and_function(self, user_file: Path) -> None:
        found = parse_chain(f"{user_file}:emboss:strength=2 | blur")
        assert repr(found).startswith("emboss(strength=2.0, flag=False) | blur")

    def test_positional_value_and_border(self, user_file: Path) -> None:
        (found,) = parse_chain(f"{user_file}:emboss:2,yes,border=wrap").filters
        assert found.keywords == {"strength": 2.0, "flag": True}
        assert found.border == "wrap"

    def test_path_with_blanks_goes_in_quotes(self, user_file: Path) -> None:
        other = user_file.parent / "my filters" / "a b.py"
        other.parent.mkdir()
        user_file.rename(other)
        assert parse_chain(f'"{other}":emboss:2').filters[0].keywords["strength"] == 2

    def test_relative_path(self, user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(user_file.parent)
        assert parse_chain("my_filter.py:emboss") == parse_chain("./my_filter.py:emboss")

    @pytest.mark.parametrize("folder", ["", "./"])
    def test_a_dot_before_the_function_leads_to_a_colon(
        self, user_file: Path, monkeypatch: pytest.MonkeyPatch, folder: str
    ) -> None:
        monkeypatch.chdir(user_file.parent)
        file = f"{folder}{user_file.name}"
        with pytest.raises(ChainError, match=f"a colon before the function: {file}:emboss\n"):
            parse_chain(f"{file}.emboss")

    def test_loaded_once_until_it_changes(self, user_file: Path) -> None:
        first = filters_of(str(user_file))["emboss"]
        assert filters_of(str(user_file))["emboss"] is first
        user_file.write_text(USER_FILE.replace("2.0", "5.25"))
        assert filters_of(str(user_file))["emboss"] is not first

    def test_name_of_the_module_depends_on_the_path_alone(self, user_file: Path) -> None:
        before = filters_of(str(user_file))["emboss"].definition.kernel.__module__
        user_file.write_text(USER_FILE.replace("2.0", "5.25"))
        after = filters_of(str(user_file))["emboss"].definition.kernel.__module__
        assert before == after
        assert before in sys.modules

    def test_leaves_nothing_beside_the_file(self, user_file: Path) -> None:
        filters_of(str(user_file))["emboss"]
        assert os.listdir(user_file.parent) == ["my_filter.py"]

    def test_imports_from_its_own_folder(self, tmp_path: Path) -> None:
        (tmp_path / "helper_of_a_test.py").write_text("HALO = 3\n")
        path = tmp_path / "uses.py"
        path.write_text(USER_FILE + "\nfrom helper_of_a_test import HALO\n")
        assert filters_of(str(path))["emboss"].definition.kernel.__globals__["HALO"] == 3

    def test_travels_by_value(self, user_file: Path) -> None:
        one = parse_chain(f"{user_file}:emboss:2")
        sent = cloudpickle.dumps(one)
        array = np.arange(120, dtype=np.uint8).reshape(10, 12)
        expected = one(array)
        module = one.filters[0].definition.kernel.__module__
        kept = sys.modules.pop(module)
        try:
            got = pickle.loads(sent)(array)
        finally:
            sys.modules[module] = kept
        assert np.array_equal(got, expected)

    def test_may_run_its_own_filters_while_it_is_loaded(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((5, 7), 9, np.uint8)).save(tmp_path / "in.png")
        path = tmp_path / "runs.py"
        run = f"imgpipe.run({str(tmp_path / 'in.png')!r}, emboss(), {str(tmp_path / 'o.png')!r})"
        path.write_text(f"{USER_FILE}\nimport imgpipe\n{run}\n")
        filters_of(str(path))["emboss"]
        assert imgpipe.read(tmp_path / "o.png").shape == (5, 7, 1)

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("bare", "bare is a bare function without a declared halo"),
            ("embos", "it has no filter or function 'embos'; did you mean 'emboss'?"),
            ("number", "it has no filter or function 'number'"),
            ("ready", "ready has its values already"),
        ],
    )
    def test_a_name_that_is_no_filter_is_refused(
        self, user_file: Path, name: str, says: str
    ) -> None:
        with pytest.raises(UsageError, match=r"my_filter\.py") as caught:
            parse_chain(f'"{user_file}":{name}')
        assert says in str(caught.value)

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("def f(:\n", "line 1"),
            ("\n\nimport no_such_module_at_all\n", "ModuleNotFoundError: .* \\(line 3\\)"),
            ("raise KeyError('x')\n", "KeyError: 'x' \\(line 1\\)"),
            ("import sys; sys.exit(3)\n", "SystemExit: 3"),
            ("\0", "null byte"),
            (
                "import imgpipe\n@imgpipe.filter\ndef f(chunk): ...\n",
                "load: the halo is not declared",
            ),
        ],
    )
    def test_file_that_does_not_load(self, tmp_path: Path, source: str, says: str) -> None:
        path = tmp_path / "broken.py"
        path.write_text(source)
        before = set(sys.modules)
        with pytest.raises(UsageError, match=f"(?s)broken.py: fails to (?=load).*{says}"):
            found_in(str(path), "f")
        assert not {name for name in set(sys.modules) - before if "broken" in name}

    def test_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot be read"):
            found_in(str(tmp_path), "f")


class TestModules:
    def test_module_and_function(self) -> None:
        assert parse_chain("imgpipe.filters.smoothing:blur:3") == blur(3)

    def test_in_the_folder_of_the_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "package_of_a_test"
        package.mkdir()
        (package / "inner.py").write_text(USER_FILE)
        monkeypatch.chdir(tmp_path)
        found = parse_chain("package_of_a_test.inner:emboss:3")
        assert format_chain(found) == "package_of_a_test.inner:emboss:strength=3.0"
        assert parse_chain(format_chain(found)) == found


class TestModulesWithoutADot:
    @pytest.fixture(autouse=True)
    def _module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "module_of_a_test.py").write_text(USER_FILE)
        monkeypatch.chdir(tmp_path)

    def test_in_a_chain(self) -> None:
        found = parse_chain("invert | module_of_a_test:emboss:3")
        assert format_chain(found) == "invert | module_of_a_test:emboss:strength=3.0"
        assert parse_chain(format_chain(found)) == found

    def test_bare_function_with_a_halo(self) -> None:
        array = np.arange(12, dtype=np.uint8).reshape(3, 4)
        found = parse_chain("numpy:flipud", halo=(0, 0))
        assert np.array_equal(found(array), array[::-1])

    def test_its_function_is_asked_for(self) -> None:
        with pytest.raises(ChainError, match="name one of its functions"):
            parse_chain("module_of_a_test")

    def test_a_registered_name_wins(self, tmp_path: Path) -> None:
        (tmp_path / "blur.py").write_text(USER_FILE)
        assert parse_chain("blur:3") == blur(3)


@imgpipe.filter(halo=0)
def untyped(chunk, *, value):
    return chunk


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high)


BORDER = st.sampled_from(BORDERS)
FILTERS = st.one_of(
    st.builds(blur, numbers(0.3, 500), numbers(1, 10), border=BORDER),
    st.builds(box, st.integers(0, 1000), border=BORDER),
    st.builds(crop, *[st.integers(1, 9)] * 4),
    st.builds(flip, st.sampled_from(["vertical", "horizontal"])),
    st.builds(blend, st.text().map(lambda name: f"./{name}"), numbers(0, 1), border=BORDER),
    st.sampled_from([grayscale(), invert()]),
)


class TestBlanksInPaths:
    @pytest.mark.parametrize(
        "folder", ["a folder", "two  blanks", "it's here", "a, b = c: d", 'so "called" ones', " x"]
    )
    @pytest.mark.parametrize("quoted", [False, True])
    def test_a_file_that_is_there_is_found(
        self, folder: str, quoted: bool, user_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(user_file.parent)
        Path(folder).mkdir()
        path = Path(folder, "my filter.py")
        user_file.rename(path)
        emboss = filters_of(str(path))["emboss"]
        for place in (str(path.resolve()), f"./{path}"):
            escaped = place.replace('"', '\\"')
            word = f'"{escaped}"' if quoted else place
            assert parse_chain(f"{word}:emboss") == emboss()
            assert parse_chain(f"blur | {word} : emboss:2, flag=true|invert") == (
                blur() | emboss(2, flag=True) | invert()
            )

    def test_so_is_one_among_the_values(self, tmp_path: Path) -> None:
        other, table = tmp_path / "an image.npy", tmp_path / "a curve.txt"
        np.save(other, np.zeros((2, 2), np.uint8))
        table.write_text(" ".join(map(str, range(256))))
        assert parse_chain(f"blend:{other},0.25") == blend(str(other), 0.25)
        assert parse_chain(f"blend:amount=0.25,other={other} | blur") == (
            blend(str(other), 0.25) | blur()
        )
        assert parse_chain(f"lut:{table}") == lut(str(table))

    def test_one_that_is_not_there_is_named(self) -> None:
        with pytest.raises(ChainError, match=r"no folder/a b.py: there is no such file; check"):
            parse_chain("blur | no folder/a b.py:emboss")
        with pytest.raises(ChainError, match=r"blur a.py: there is no such file; .*put \| between"):
            parse_chain("blur a.py:emboss")
        with pytest.raises(ChainError, match=r"is missing before this word"):
            parse_chain("blur grayscale")


class TestWritingDown:
    @given(st.lists(FILTERS, min_size=1, max_size=4))
    def test_is_the_inverse_of_parsing(self, filters: list[Filter]) -> None:
        chain: Chain = filters[0]
        for one in filters[1:]:
            chain = chain | one
        assert parse_chain(format_chain(chain)) == chain

    @given(st.text() | st.integers() | st.floats(allow_nan=False))
    def test_value_without_a_type_comes_back_or_is_refused(self, value: object) -> None:
        try:
            text = format_chain(untyped(value))
        except UsageError:
            assert isinstance(value, str)  # one that reads as a number
        else:
            assert parse_chain(text) == untyped(value)

    def test_leaves_out_defaults(self) -> None:
        assert format_chain(blur(2) | blur(3, border="wrap")) == "blur | blur:sigma=3.0,border=wrap"

    def test_file_of_the_user(self, tmp_path: Path) -> None:
        path = tmp_path / "with a blank.py"
        path.write_text(USER_FILE)
        chain = filters_of(str(path))["emboss"](strength=2, flag=True) | invert()
        assert format_chain(chain) == f'"{path}":emboss:strength=2.0,flag=True | invert'
        assert parse_chain(format_chain(chain)) == chain

    def test_a_chain_without_text_is_refused(self) -> None:
        @imgpipe.filter(halo=0)
        def blur(chunk: object) -> object:
            return chunk

        with pytest.raises(UsageError, match="move it to a file of its own"):
            format_chain(blur())
        with pytest.raises(UsageError, match="other cannot be written as text"):
            format_chain(blend(np.zeros((2, 2))))
        with pytest.raises(UsageError, match="without a filter"):
            format_chain(Chain(()))
