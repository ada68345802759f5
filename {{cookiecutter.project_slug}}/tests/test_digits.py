"""The digits that the digit lab reads."""

import pytest
import torch

from {{ cookiecutter.package_name }} import digits
from {{ cookiecutter.package_name }}.runs import ParameterError


def test_bundled_digits_look_like_mnist() -> None:
    found = digits.load("digits")
    assert found.name == "digits"
    assert (len(found.train), len(found.test)) == (1347, 450)
    assert found.train.images.shape[1:] == (1, 28, 28)
    assert (found.train.images.min(), found.train.images.max()) == (0, 1)
    assert found.train.labels.dtype == torch.int64
    assert not set(found.train.indices.tolist()) & set(found.test.indices.tolist())


def test_unknown_data_set_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"'fashion'.*'auto', 'mnist' or 'digits'"):
        digits.load("fashion")
