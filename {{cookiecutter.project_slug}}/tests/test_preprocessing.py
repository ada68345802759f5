"""LogScaler: numbers of every size are scaled, and come back."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from {{ cookiecutter.package_name }}.preprocessing import LogScaler


def test_passes_the_checks_of_scikit_learn() -> None:
    outcomes = check_estimator(LogScaler(), on_skip=None)
    assert {outcome["status"] for outcome in outcomes} <= {"passed", "skipped"}


def test_inverse_gives_back_what_was_scaled_in_its_order() -> None:
    numbers = np.array([[-1e300], [-3.0], [-1e-300], [0.0], [1e-16], [0.5], [9.0], [1e300]])
    scaler = LogScaler()
    scaled = scaler.fit_transform(numbers)
    assert (np.diff(scaled, axis=0) > 0).all()
    assert scaled[[3, 6], 0] == pytest.approx([0, np.log(10)])
    assert scaler.inverse_transform(scaled) == pytest.approx(numbers, rel=1e-12, abs=0)


def test_what_no_number_scales_to_is_refused() -> None:
    with pytest.raises(ValueError, match=r"X has the value 710.*709\.78"):
        LogScaler().fit([[1.0]]).inverse_transform([[710.0]])
