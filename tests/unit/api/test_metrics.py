"""What operators read of the engines."""

from freehold.api.metrics import Metrics
from freehold.engines.base import EngineStatus


def test_every_figure_of_an_engine_is_told():
    status = EngineStatus(
        "ready",
        slots=4,
        busy=1,
        restarts=2,
        window=64,
        resident_bytes=5,
        queued=3,
        tokens_per_s=2.5,
        serves=("gpt-4o",),
    )
    lines = Metrics(lambda: {"tiny": status}).render().decode().splitlines()
    assert {line for line in lines if line.startswith("freehold_engine_")} == {
        'freehold_engine_ready{model="tiny"} 1.0',
        'freehold_engine_slots{model="tiny"} 4.0',
        'freehold_engine_busy{model="tiny"} 1.0',
        'freehold_engine_queued{model="tiny"} 3.0',
        'freehold_engine_restarts{model="tiny"} 2.0',
        'freehold_engine_resident_bytes{model="tiny"} 5.0',
        'freehold_engine_tokens_per_second{model="tiny"} 2.5',
        'freehold_engine_state{model="tiny",state="ready"} 1.0',
        'freehold_engine_serves{id="gpt-4o",model="tiny"} 1.0',
    }


def test_an_engine_that_is_not_loaded_is_not_ready():
    status = EngineStatus("unloaded", 0, 0, 0, 0)
    text = Metrics(lambda: {"tiny": status}).render().decode()
    assert 'freehold_engine_ready{model="tiny"} 0.0' in text
    assert 'freehold_engine_state{model="tiny",state="unloaded"} 1.0' in text
