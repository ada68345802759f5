"""Scaling of table columns, as scikit-learn transformers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["LogScaler"]

Table: TypeAlias = NDArray[np.float64] | pd.DataFrame

# What goes in: anything that becomes float64, NaN for a missing value included, infinities not.
ACCEPTED = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}


class LogScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Scale skewed numbers of either sign by `sign(x) * log1p(|x|)`.

    Close to zero the result is x itself, far from it the logarithm of x; so the order of the values
    is kept, zero stays zero, and `inverse_transform` undoes the scaling to a relative error of
    1e-12. The unit of the numbers decides what is close: well below 1 hardly anything changes.

    Computed in float64, whatever comes in. NaN stands for a missing value and stays where it is;
    infinities are refused. A pandas DataFrame comes out as one, its index and columns kept, unless
    `set_output` asks for something else.

    There is nothing to choose and nothing to learn; `fit` remembers the columns, so that others are
    refused later.

    Attributes:
        n_features_in_: how many columns there are.
        feature_names_in_: their names, shape (n_features_in_,); only if those were text.

    Source: J. B. W. Webber, A bi-symmetric log transformation for wide-range data, Measurement
    Science and Technology 24 (2013) 027001, with the natural logarithm and the constant 1.
    """

    def fit(self, X: ArrayLike, y: object = None) -> LogScaler:
        """Remember the columns of `X`, shape (n_samples, n_features), and return this scaler.

        Raises:
            ValueError: `X` is no table of numbers, is empty, or holds an infinity.
        """
        validate_data(self, X, **ACCEPTED)
        return self

    def transform(self, X: ArrayLike) -> Table:
        """Return `X` scaled, shape (n_samples, n_features).

        Raises:
            NotFittedError: `fit` has not been called.
            ValueError: the columns are not those of `fit`, or `X` holds an infinity.
        """
        check_is_fitted(self)
        values = validate_data(self, X, reset=False, **ACCEPTED)
        return _in_the_shape_of(X, np.copysign(np.log1p(np.abs(values)), values))

    def inverse_transform(self, X: ArrayLike) -> Table:
        """Return the numbers whose scaled values are `X`, shape (n_samples, n_features).

        Raises:
            NotFittedError: `fit` has not been called.
            ValueError: the number of columns is not that of `fit`, or `X` holds an infinity or a
                value so large (beyond about 709.78) that no float64 scales to it.
        """
        check_is_fitted(self)
        values = check_array(X, input_name="X", **ACCEPTED)
        if values.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {values.shape[1]} features, but LogScaler was fitted on "
                f"{self.n_features_in_}. Pass the same columns."
            )
        with np.errstate(over="ignore"):  # noticed below, with a sentence
            original = np.copysign(np.expm1(np.abs(values)), values)
        if np.isinf(original).any():
            worst = values.flat[np.nanargmax(np.abs(values))]
            raise ValueError(
                f"X has the value {worst:g}, but scaled values are between -709.78 and 709.78. "
                "Was it scaled by LogScaler?"
            )
        return _in_the_shape_of(X, original)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _in_the_shape_of(X: ArrayLike, values: NDArray[np.float64]) -> Table:
    """Return `values` as a DataFrame with the index and columns of `X` if `X` is one."""
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(values, index=X.index, columns=X.columns)
    return values
