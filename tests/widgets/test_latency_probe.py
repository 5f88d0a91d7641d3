import pytest
from pytestqt.qtbot import QtBot

from napari_ciml.errors import CimlError
from napari_ciml.widgets.latency_probe import LatencyProbe, measure_latency
from napari_ciml.widgets.workbench import Workbench


def test_every_moment_of_a_standstill_counts(qtbot: QtBot) -> None:
    times = iter([0.0, 0.006, 0.0102, 0.0402])
    probe = LatencyProbe(clock=lambda: next(times))
    probe.start()
    probe.tick()
    probe.tick()
    assert probe.delays_ms == pytest.approx([1.0, 0.2])
    probe.stop()  # 30 ms later: moments at 15, 20, 25, 30, 35 and 40 ms were missed
    assert probe.delays_ms[2:] == pytest.approx([25.2, 20.2, 15.2, 10.2, 5.2, 0.2])


def test_the_loop_is_listened_to_until_nothing_runs(loaded: Workbench) -> None:
    heard = measure_latency(loaded, loaded.session.segmentation.segment)
    assert loaded.session.model.segmentation is not None
    assert heard.seconds > 0
    assert len(heard.delays_ms) == pytest.approx(heard.seconds / 0.005, rel=0.2)
    assert min(heard.delays_ms) >= 0


def test_what_fails_is_raised(loaded: Workbench) -> None:
    def failing() -> None:
        def work(_: object) -> None:
            raise CimlError("nothing came of it")

        loaded.session.jobs.main.submit("Failing", work, lambda _: None)

    with pytest.raises(CimlError, match="nothing came of it"):
        measure_latency(loaded, failing)
