import stat
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli import configfile
from freehold.cli.configfile import EditError

REST = """\
# my server
port = 9000   # not 8080

[models.'other "one"']
weights = "a.gguf"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "freehold.toml"


def test_the_file_is_made_where_there_is_none(path):
    configfile.bind(path, "gpt-4o", {"weights": "/x.gguf", "slots": 2})
    assert tomllib.loads(path.read_text()) == {
        "models": {"gpt-4o": {"weights": "/x.gguf", "slots": 2}}
    }


def test_every_other_line_stays_as_it_is(path):
    path.parent.mkdir()
    path.write_text(REST)
    configfile.bind(path, "gpt-4o", {"weights": "/x.gguf"})
    assert path.read_text() == f'{REST}\n[models."gpt-4o"]\nweights = "/x.gguf"\n'


def test_a_second_binding_replaces_the_first_and_the_tables_below_it(path):
    path.parent.mkdir()
    first = '[models.gpt-4o]\nweights = "old"\n[[models.gpt-4o.script]]\ntext = "hi"\n\n'
    path.write_text(f"{first}# of the other\n{REST}".replace("port = 9000   # not 8080\n", ""))
    configfile.bind(path, "gpt-4o", {"weights": "new"})
    text = path.read_text()
    assert tomllib.loads(text)["models"]["gpt-4o"] == {"weights": "new"}
    assert text.startswith("# of the other\n# my server\n")


def test_a_binding_is_removed_with_its_lines(path):
    path.parent.mkdir()
    path.write_text(REST)
    configfile.bind(path, "x", {"weights": "/x.gguf"})
    assert configfile.unbind(path, "x")
    assert path.read_text().rstrip() == REST.rstrip()
    assert not configfile.unbind(path, "x")


@pytest.mark.parametrize(
    "text",
    [
        'models = { x = { weights = "a" } }\n',
        '[models]\nx = { weights = "a" }\n',
        '[models]\nx.weights = "a"\n',
    ],
)
def test_a_form_that_can_not_be_edited_is_refused_and_kept(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(EditError, match=r'\[models\."x"\]'):
        configfile.bind(path, "x", {"weights": "b"})
    with pytest.raises(EditError, match="Remove"):
        configfile.unbind(path, "x")
    assert path.read_text() == text


def test_text_that_looks_like_a_table_is_not_taken_for_one(path):
    path.parent.mkdir()
    text = '[models.y]\nsystem_prompt = """\n[models.x]\nweights = 1\n"""\n'
    path.write_text(text)
    with pytest.raises(EditError):
        configfile.bind(path, "x", {"weights": "b"})
    assert path.read_text() == text


def test_permissions_and_links_are_kept(path, tmp_path):
    path.parent.mkdir()
    path.write_text("port = 1\n")
    path.chmod(0o600)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    configfile.bind(link, "x", {"weights": "b"})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["freehold.toml"]


@given(
    model=st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), min_size=1),
    value=st.text(st.characters(codec="utf-8", exclude_characters="\x7f")),
)
def test_any_id_and_value_survive_the_way_through_the_file(tmp_path_factory, model, value):
    path = tmp_path_factory.mktemp("bind") / "freehold.toml"
    path.write_text(REST)
    configfile.bind(path, model, {"weights": value})
    assert tomllib.loads(path.read_text())["models"][model] == {"weights": value}
