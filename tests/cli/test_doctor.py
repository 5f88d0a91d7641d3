import pytest

from napari_ciml.cli import doctor


def test_everything_needed_is_here() -> None:
    found = doctor.run_checks()
    assert found.can_segment
    text = doctor.render(found)
    assert "glioma (4 modalities)" in text
    assert "dock widgets registered in napari" in text


@pytest.mark.parametrize(("there", "taken"), [(True, "openvino"), (False, "torch")])
def test_engines_and_which_one_auto_takes(
    monkeypatch: pytest.MonkeyPatch, there: bool, taken: str
) -> None:
    monkeypatch.setattr("napari_ciml.inference.device.has_openvino", lambda: there)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    text = doctor._engines()
    assert text.startswith("torch, openvino;" if there else "torch;")
    assert f"auto takes {taken} on cpu" in text
    assert ("napari-ciml[cpu]" in text) != there


def test_a_missing_package_is_said_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("napari-ciml", "no-such-package"))
    found = doctor.run_checks()
    assert not found.can_segment
    assert "!!  no-such-package" in doctor.render(found)
