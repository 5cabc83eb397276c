import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nas_attn.errors import SpaceError
from nas_attn.space import SearchSpace, read_space, space_from_dict

TEXTS = {
    "nothing": ("", "f.yaml: the file is empty; a search space starts with 'version: 1'"),
    "a comment": ("# only this", "f.yaml: the file is empty; a search space starts with 'version: 1'"),
    "a list": (
        "- 1",
        "f.yaml: line 1: must be a mapping of name, network, choices, description, start, options, limits, "
        "ladder, not a list",
    ),
    "an open bracket": (
        "a: 1\nb: [c",
        "f.yaml: line 2, column 6: not valid YAML: while parsing a flow sequence, expected ',' or ']', but got "
        "'<stream end>'",
    ),
    "wrong indentation": ("a: 1\n b: 2", "f.yaml: line 2, column 3: not valid YAML: mapping values are"),
    "a tab": (
        "a:\n\tb: 1",
        "f.yaml: line 2, column 1: not valid YAML: while scanning for the next token, found character '\\t' that "
        "cannot start any token; indent with spaces, not tabs",
    ),
    "two documents": (
        "a: 1\n---\nb: 1",
        "f.yaml: line 2, column 1: not valid YAML: expected a single document in the stream, but found another",
    ),
    "a control character": ("a: 1\nb: \x07", "f.yaml: line 2, column 4: not text: character"),
    "an escape that is not a character": ('a: "\\UFFFFFFFF"', "f.yaml: not valid YAML: "),
    "an anchor": ("a: &b 1", "f.yaml: line 1: anchors and aliases (&b) are not read; write the value out"),
    "an expansion bomb": (
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "f.yaml: line 1: anchors and aliases (&a) are not read; write the value out",
    ),
    "a python tag": (
        "!!python/object/apply:os.system ['true']",
        "f.yaml: line 1: tags ('tag:yaml.org,2002:python/object/apply:os.system') are not read",
    ),
    "a plain tag": ("a: !!str 1", "f.yaml: line 1: tags ('tag:yaml.org,2002:str') are not read"),
    "deep brackets": ("[" * 100_000, "f.yaml: line 1: nested deeper than 10 levels; a search space needs 4"),
    "deep dashes": ("- " * 50_000, "f.yaml: line 1: nested deeper than 10 levels; a search space needs 4"),
    "many values": ("a: [" + "b, " * 9000 + "]", "f.yaml: line 1: more than 5000 values"),
    "a merge key": ("<<: {a: 1}", "f.yaml: line 1: a field's name must be a word, not '<<'"),
    "a number for a name": ("1: 2", "f.yaml: line 1: a field's name must be a word, not '1'"),
    "a list for a name": ("? [a]\n: 2", "f.yaml: line 1: a field's name must be a word, not a list or a mapping"),
    "a huge number": (
        "name: " + "1:" * 9000 + "1",
        f"f.yaml: line 1: name: '{'1:' * 24}1... (18003 characters) is too long a number",
    ),
    "a large number": ("name: 9999999999999999", "f.yaml: line 1: name: '9999999999999999' is too large a number"),
    "binary digits that are none": ("name: 0b_", "f.yaml: line 1: name: '0b_' cannot be read as a number"),
    "half a character": ('name: "\\ud800"', "f.yaml: line 1: name: '\\ud800' holds characters that"),
    "a terminal's escape": (
        'description: "\\e[31m"',
        "f.yaml: line 1: description: '\\x1b[31m' holds characters that cannot be shown",
    ),
    "a long name of a field": ("a" * 900 + ": 1", "f.yaml: line 1: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_hostile_text_is_refused_in_words(read, text, expected):
    with pytest.raises(SpaceError) as caught:
        read(text)
    assert any(problem.startswith(expected) for problem in caught.value.problems), str(caught.value)
    assert all(len(problem) < 400 and problem.isprintable() for problem in caught.value.problems)


FILES = {
    "bytes": (b"\x89PNG\r\n\x1a\n\0", "line 1: not UTF-8 text; save the file as UTF-8"),
    "a second line in Latin 1": (b"name: x\n# caf\xe9", "line 2: not UTF-8 text; save the file as UTF-8"),
    "UTF-16": ("version: 1".encode("utf-16"), "line 1: not UTF-8 text; save the file as UTF-8"),
    "half a megabyte": (b"#" * 500_000, "larger than 256 KiB; a search space takes a few"),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_text_is_refused_in_words(tmp_path, kinds, content, expected):
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(SpaceError) as caught:
        read_space(path, kinds)
    assert str(caught.value) == f"{path}: {expected}"


def test_what_is_no_file_is_refused_in_words(tmp_path, kinds):
    for source, expected in {
        str(tmp_path): "this is a folder; name a .yaml file",
        str(tmp_path / "no.yaml"): "no such file",
        "/dev/null": "this is not a regular file; name a .yaml file",
    }.items():
        with pytest.raises(SpaceError) as caught:
            read_space(source, kinds)
        assert str(caught.value) == f"{source}: {expected}"
    with pytest.raises(SpaceError, match="cannot be read: File name too long"):
        read_space("a" * 9000 + ".yaml", kinds)


def reads_or_refuses(read, text):
    """Any other exception than a SpaceError is left to fail the test."""
    try:
        outcome = read(text)
    except SpaceError as error:
        outcome = error.problems
    assert isinstance(outcome, SearchSpace) or (outcome and all(line.isprintable() for line in outcome))


@given(text=st.text(max_size=200))
@example(text="version: 1\nname: a\nnetwork: {family: unet, depth: 2}\nchoices: {skip: [se]}")
def test_any_text_is_read_or_refused(read, text):
    reads_or_refuses(read, text)


@given(data=st.data())
def test_any_change_of_a_good_file_is_read_or_refused(read, data):
    good = (
        "version: 1\nname: x\nnetwork: {family: unet, depth: 2, image_size: [32, 48]}\nstart: identity\n"
        "options: {se: {reduction: 8}}\nchoices:\n  encoder: [none, {kind: se, scale: 2}]\n  skip.1: [gate]\n"
        "limits: {max_positions: 99, max_macs: 1.5x, max_parameters: 2M}\n"
    )
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(good)))
        end = data.draw(st.integers(start, min(len(good), start + 8)))
        mark = st.sampled_from(
            ["", "-", ": ", "[", "]", "{", "}", "&a", "*a", "!!int ", "~", "\n", " ", '"', "1e9"]
        )
        good = good[:start] + data.draw(mark | st.text(max_size=5)) + good[end:]
    reads_or_refuses(read, good)


FIELD_NAMES = st.sampled_from(
    ["version", "name", "network", "choices", "limits", "options", "start", "skip", "skip.1", "kind", "se"]
)
PARTS = ["options", "choices", "limits"]
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["se", "unet"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(fields=st.dictionaries(st.sampled_from(["name", "description", "network", "start", *PARTS]), PLAIN))
def test_any_values_in_known_fields_are_read_or_refused(kinds, fields):
    good = {"version": 1, "name": "x", "network": {"family": "unet", "depth": 2}, "choices": {"skip": ["se"]}}
    reads_or_refuses(lambda values: space_from_dict(values, kinds, where="f"), good | fields)
