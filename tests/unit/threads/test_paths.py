"""Files that code made are annotated where an answer names them, and named where it does not."""

from freehold.resources.threads import tool_paths

FILES = {"a.csv": "file-1", "a.csv.gz": "file-2"}


def test_each_place_that_names_a_file_is_annotated():
    text = "See [it](sandbox:/mnt/data/a.csv) and sandbox:/mnt/data/a.csv.gz."

    found = tool_paths.annotations(text, FILES)

    assert [one["file_path"]["file_id"] for one in found] == ["file-1", "file-2"]
    for one in found:
        assert text[one["start_index"] : one["end_index"]] == one["text"]


def test_file_that_nobody_made_is_not_annotated():
    assert tool_paths.annotations("sandbox:/mnt/data/b.csv", FILES) == []


def test_forgotten_files_are_named():
    said = "Here: sandbox:/mnt/data/a.csv.gz"
    assert tool_paths.unnamed(said, {"b.csv": "file-3"}) == "\n\n[b.csv](sandbox:/mnt/data/b.csv)"
    assert tool_paths.unnamed("sandbox:/mnt/data/b.csv", {"b.csv": "file-3"}) == ""
