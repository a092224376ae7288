from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from chiron.server.settings.lines import lines_of

DOCUMENT = '''\
# Chiron

port = 8443
text = """
[not.a.table]
not_a_key = 1"""
list = [
    "a", # ]
    "b",
]
"quoted key" = 1
mail.sender = "x"

[tls]
key = "k"

[ limits . deep ]  # a comment
inline = { a = 1, b = { c = 2 } }
[[people]]
name = "ada"
'''


def test_each_key_is_found_where_its_statement_begins() -> None:
    assert lines_of(DOCUMENT) == {
        ("port",): 3,
        ("text",): 4,
        ("list",): 7,
        ("quoted key",): 11,
        ("mail",): 12,
        ("mail", "sender"): 12,
        ("tls",): 14,
        ("tls", "key"): 15,
        ("limits", "deep"): 17,
        ("limits", "deep", "inline"): 18,
        ("limits", "deep", "inline", "a"): 18,
        ("limits", "deep", "inline", "b"): 18,
        ("limits", "deep", "inline", "b", "c"): 18,
        ("people",): 19,
        ("people", "name"): 20,
    }


VALUES = st.sampled_from(
    ["1", '"x"', "'''\na = 1\n'''", "[\n1,\n2]", '"""\\\n\n"""', "true", "{ x = 1 }", "'#'", '"a\u2028b"']
)
BLANKS = st.sampled_from(["", "\n", "# [a]\n", " \n\t\n", "\r\n"])


@given(st.lists(st.tuples(BLANKS, VALUES), max_size=12))
def test_whatever_the_values_are_keys_are_on_their_lines(statements: list[tuple[str, str]]) -> None:
    text, expected = "", {}
    for number, (blank, value) in enumerate(statements):
        text += blank
        expected[(f"key{number}",)] = text.count("\n") + 1
        text += f"key{number} = {value}\n"
    tomllib.loads(text)
    found = {path: line for path, line in lines_of(text).items() if len(path) == 1}
    assert found == expected
