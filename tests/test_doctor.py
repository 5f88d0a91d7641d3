import pytest

from napari_ciml import doctor


def test_everything_needed_is_here() -> None:
    found = doctor.report()
    assert found.can_segment
    text = doctor.render(found)
    assert "glioma (4 modalities)" in text
    assert "5 dock widgets" in text


def test_a_missing_package_is_said_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("napari-ciml", "no-such-package"))
    found = doctor.report()
    assert not found.can_segment
    assert "!!  no-such-package" in doctor.render(found)
