"""What several tests share."""

import pytest

from {{ cookiecutter.package_name }}.data import DigitData, Samples, load


@pytest.fixture(scope="session")
def few_digits() -> DigitData:
    """Four hundred of the bundled digits to learn from, and the usual ones to test on."""
    digits = load("digits")
    part = slice(0, 400)
    return DigitData(
        "few",
        Samples(digits.train.images[part], digits.train.labels[part], digits.train.indices[part]),
        digits.test,
    )
