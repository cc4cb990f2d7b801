from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from freehold_training.batches import Conversations, Encoded, plan
from freehold_training.settings import Settings

LENGTHS = [(7 * number) % 50 + 3 for number in range(200)]


def planned(*, seed=1, epochs=2, micro_tokens=64):
    return plan(LENGTHS, epochs=epochs, step_tokens=300, micro_tokens=micro_tokens, seed=seed)


def test_every_epoch_reads_every_conversation_once():
    read = Counter(chain.from_iterable(chain.from_iterable(planned())))
    assert read == dict.fromkeys(range(200), 2)


def test_the_order_depends_on_the_seed_alone():
    assert planned() == planned()
    assert planned() != planned(seed=2)


def test_an_epoch_more_leaves_the_steps_before_it_as_they_were():
    assert planned(epochs=3)[: len(planned())] == planned()


def test_what_a_step_reads_does_not_depend_on_the_memory_there_is():
    def read(steps):
        return [sorted(chain.from_iterable(step)) for step in steps]

    assert read(planned(micro_tokens=64)) == read(planned(micro_tokens=4096))


def test_groups_stay_within_their_tokens_with_padding():
    groups = [group for step in planned() for group in step]
    assert all(len(group) * max(LENGTHS[number] for number in group) <= 64 for group in groups)


def test_a_conversation_that_is_longer_than_a_group_may_be_stands_alone():
    assert plan([500, 3], epochs=1, step_tokens=900, micro_tokens=64, seed=1) == [[[0], [1]]]


def test_conversations_come_back_from_their_file_as_they_were(tmp_path):
    held = Conversations.of(
        [Encoded("a", [5, 6, 7], [False, True, True]), Encoded("b", [8], [True])]
    )
    held.save(tmp_path / "held.npz")
    loaded = Conversations.load(tmp_path / "held.npz")
    ids, learnt = loaded.padded([1, 0])
    assert ids.tolist() == [[8, 0, 0], [5, 6, 7]]
    assert learnt.tolist() == [[True, False, False], [False, True, True]]
    assert loaded.lengths == [3, 1]
    assert loaded.rows.tolist() == ["a", "b"]
    assert loaded.ids.dtype == np.int32


def test_the_settings_are_read_with_paths_beside_the_file():
    path = Path("training/settings.toml")
    settings = Settings.read(path)
    assert settings.template.is_file()
    assert settings.build == path.resolve().parent / "build"


def test_a_setting_that_does_not_exist_is_refused(tmp_path):
    text = Path("training/settings.toml").read_text("utf-8")
    path = tmp_path / "settings.toml"
    path.write_text(f"{text}\nwarm_up = 1\n", "utf-8")
    with pytest.raises(TypeError, match="warm_up"):
        Settings.read(path)
