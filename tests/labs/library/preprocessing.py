"""LogScaler: every number comes back, and scikit-learn takes it for one of its own."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from handwriting_lab.preprocessing import LogScaler

LARGEST = np.finfo(np.float64).max
SMALLEST = np.nextafter(0.0, 1.0)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def table() -> pd.DataFrame:
    columns = {"income in €": [10.0, -2000.0, 0.0], "a < b": [1e-9, np.nan, 3e12]}
    return pd.DataFrame(columns, index=["x", "y", "z"])


def test_passes_the_checks_of_scikit_learn() -> None:
    outcomes = check_estimator(LogScaler(), on_skip=None)
    assert len(outcomes) > 40
    assert {outcome["status"] for outcome in outcomes} <= {"passed", "skipped"}


@pytest.mark.parametrize("seed", range(5))
def test_inverse_gives_back_any_number(seed: int) -> None:
    # Random bit patterns: every sign and every exponent is as likely as any other.
    bits = np.random.default_rng(seed).integers(0, 2**64, size=500_000, dtype=np.uint64)
    numbers = bits.view(np.float64)
    numbers = numbers[np.abs(numbers) <= 1e300].reshape(-1, 1)
    scaler = LogScaler().fit(numbers)
    back = scaler.inverse_transform(scaler.transform(numbers))
    assert len(numbers) > 400_000
    assert (np.abs(back - numbers) <= 1e-12 * np.abs(numbers)).all()


@pytest.mark.parametrize(
    "number", [SMALLEST, 2.3e-308, 1e-300, 1e-16, 1e-8, 0.5, 1.0, 3.0, 1e16, 1e300, LARGEST]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_inverse_gives_back_the_extremes(number: float, sign: int) -> None:
    scaler = LogScaler().fit(column(0.0))
    back = scaler.inverse_transform(scaler.transform(column(sign * number)))
    assert abs(back[0, 0] - sign * number) <= 1e-12 * number


def test_zero_stays_exactly_zero() -> None:
    scaler = LogScaler()
    scaled = scaler.fit_transform(column(0.0, -0.0))
    back = scaler.inverse_transform(scaled)
    assert scaled.tolist() == back.tolist() == [[0.0], [0.0]]


def test_values_are_those_of_the_formula() -> None:
    scaled = LogScaler().fit_transform(column(-(np.e - 1), 0, 9, -99, 1e300))
    assert scaled == pytest.approx(column(-1, 0, np.log(10), -np.log(100), 300 * np.log(10)))


def test_order_is_kept() -> None:
    numbers = column(-LARGEST, -1e9, -1.0, -SMALLEST, 0.0, SMALLEST, 1e-20, 1.0, 1e9, LARGEST)
    assert (np.diff(LogScaler().fit_transform(numbers), axis=0) > 0).all()


def test_missing_values_stay_where_they_are() -> None:
    scaler = LogScaler().fit(column(np.nan, 1.0))
    scaled = scaler.transform(column(np.nan, np.e - 1))
    assert scaled == pytest.approx(column(np.nan, 1.0), nan_ok=True)
    assert scaler.inverse_transform(scaled) == pytest.approx(column(np.nan, np.e - 1), nan_ok=True)
    nullable = pd.DataFrame({"a": pd.array([None, 0.0], dtype="Float64")})
    assert scaler.fit_transform(nullable).isna().to_numpy().tolist() == [[True], [False]]


@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_infinities_are_refused(infinity: float) -> None:
    scaler = LogScaler().fit(column(1.0))
    for step in (LogScaler().fit, scaler.transform, scaler.inverse_transform):
        with pytest.raises(ValueError, match="infinity"):
            step(column(1.0, infinity))


@pytest.mark.parametrize("value", [710.0, -1e6])
def test_inverse_refuses_what_no_number_scales_to(value: float) -> None:
    scaler = LogScaler().fit(column(1.0))
    with pytest.raises(ValueError, match=rf"X has the value {re.escape(f'{value:g}')}.*709\.78"):
        scaler.inverse_transform(column(np.nan, 3.0, value))


def test_inverse_refuses_another_number_of_columns() -> None:
    with pytest.raises(ValueError, match=r"X has 1 features.*fitted on 2"):
        LogScaler().fit(table()).inverse_transform(column(1.0))


def test_unfitted_scaler_says_so() -> None:
    for step in (LogScaler().transform, LogScaler().inverse_transform):
        with pytest.raises(NotFittedError):
            step(column(1.0))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.float32, np.float16, bool, object])
def test_other_kinds_of_number_are_computed_in_float64(kind: type) -> None:
    scaler = LogScaler()
    numbers: np.ndarray = np.array([[0], [1], [100]]).astype(kind)
    scaled = scaler.fit_transform(numbers)
    assert scaled.dtype == np.float64
    assert scaler.inverse_transform(scaled) == pytest.approx(numbers.astype(float), rel=1e-12)


def test_smallest_integer_does_not_overflow() -> None:
    scaled = LogScaler().fit_transform(np.array([[np.iinfo(np.int64).min]]))
    assert scaled == pytest.approx(-np.log(2.0**63))


def test_input_is_left_alone() -> None:
    frame = table()
    scaler = LogScaler()
    scaler.inverse_transform(scaler.fit_transform(frame))
    pd.testing.assert_frame_equal(frame, table())


def test_a_frame_keeps_its_index_and_columns_there_and_back() -> None:
    scaler = LogScaler()
    scaled = scaler.fit_transform(table())
    assert list(scaled.columns) == list(table().columns)
    assert list(scaled.index) == ["x", "y", "z"]
    pd.testing.assert_frame_equal(scaler.inverse_transform(scaled), table(), rtol=1e-12)
    assert scaler.get_feature_names_out().tolist() == list(table().columns)


def test_set_output_decides_what_comes_out() -> None:
    scaler = LogScaler().set_output(transform="pandas")
    assert isinstance(scaler.fit_transform(table().to_numpy()), pd.DataFrame)
    assert list(scaler.fit_transform(table()).columns) == list(table().columns)
    assert isinstance(LogScaler().fit_transform(table().to_numpy()), np.ndarray)


def test_other_columns_than_those_of_fit_are_refused() -> None:
    scaler = LogScaler().fit(table())
    with pytest.raises(ValueError, match="feature names"):
        scaler.transform(table().rename(columns={"a < b": "c"}))


def test_works_in_a_pipeline_a_column_transformer_and_a_grid_search() -> None:
    generator = np.random.default_rng(0)
    numbers = np.exp(generator.normal(scale=5, size=(120, 2)))
    frame = pd.DataFrame(numbers, columns=["wide", "other"])
    labels = frame["wide"] > 1
    columns = ColumnTransformer([("log", LogScaler(), ["wide"])], remainder=StandardScaler())
    pipeline = make_pipeline(columns, DecisionTreeClassifier(random_state=0))
    choices = {"columntransformer__log": [LogScaler(), "passthrough"]}
    search = GridSearchCV(pipeline, choices, cv=3, error_score="raise").fit(frame, labels)
    assert search.best_score_ > 0.95
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert names.tolist() == ["log__wide", "remainder__other"]
    columns.set_output(transform="pandas")
    expected = np.log1p(frame["wide"])
    assert columns.fit_transform(frame)["log__wide"].to_numpy() == pytest.approx(expected)


def test_scales_the_target_of_a_regression() -> None:
    inputs = np.linspace(0, 20, 50).reshape(-1, 1)
    target = np.expm1(inputs.ravel())
    model = TransformedTargetRegressor(LinearRegression(), transformer=LogScaler())
    assert model.fit(inputs, target).predict(inputs) == pytest.approx(target, rel=1e-9, abs=1e-9)


def test_a_copy_is_equal_and_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        clone(LogScaler().fit(column(1.0))).transform(column(1.0))
