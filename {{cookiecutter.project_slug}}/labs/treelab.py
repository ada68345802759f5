# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
# ---

# %% [markdown]
# # A tree learns to ask the right questions
#
# This lab is about tables: one row a sample, one column a measurement. A *decision tree* learns
# from such a table which questions to ask, and in which order, to tell two kinds of samples apart.
# It is not the strongest of models, but the one that explains itself best: you can draw it, read
# it, and argue with it. Everything below is meant to be changed: change a number, run the cells
# again, compare.
#
# In VS Code press **Run All Cells** above; in Jupyter, *Run → Run All Cells*.

# %% [markdown]
# ## 1. What can be set
#
# The names in this cell are the parameters of the lab. When the lab runs without anybody watching,
# these are the names that `-p deepest 6` refers to.

# %% tags=["parameters"]
test_share = 0.25  # how much of the data is kept for the test
deepest = 10  # up to how many questions in a row are tried
smallest_leaf = 5  # how many samples must remain at the end of the questions
folds = 5  # in how many parts the training data is cut to choose among the depths
seed = 0  # the same seed gives the same result

# %%
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.inspection import permutation_importance
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_score,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from {{ cookiecutter.package_name }} import plots
from {{ cookiecutter.package_name }}.preprocessing import LogScaler
from {{ cookiecutter.package_name }}.runs import ParameterError, start_run
from {{ cookiecutter.package_name }}.trees import export_tree

run = start_run(
    "treelab",
    {
        "test_share": test_share,
        "deepest": deepest,
        "smallest_leaf": smallest_leaf,
        "folds": folds,
        "seed": seed,
    },
)
parameters = run.parameters
for name, lowest, highest in (
    ("test_share", 0.1, 0.9),
    ("deepest", 1, 100),
    ("smallest_leaf", 1, 20),
    ("folds", 2, 20),
    ("seed", 0, 2**32 - 1),
):
    value = getattr(parameters, name)
    if not lowest <= value <= highest:
        raise ParameterError(f"{name} = {value} does not lie between {lowest} and {highest}.")

# %% [markdown]
# ## 2. The data
#
# Each row stands for a lump in a breast. A fine needle took some of its cells, and under the
# microscope ten properties of their nuclei were measured: radius, texture, area, how concave the
# outline is... Of each property the table holds the *mean* over the nuclei, its standard *error*,
# and the *worst*, which is the mean of the three largest. Later it became known what the lump was:
# malignant or benign. The tree learns to tell which.
#
# The data comes with scikit-learn. Source: W. N. Street, W. H. Wolberg and O. L. Mangasarian,
# *Nuclear feature extraction for breast tumor diagnosis* (1993).

# %%
cancer = load_breast_cancer(as_frame=True)
measurements = cancer.data  # (569, 30)
names = {number: str(name) for number, name in enumerate(cancer.target_names)}
diagnosis = cancer.target.map(names).astype(object).rename("diagnosis")  # (569,)
counts = diagnosis.value_counts()
print(f"{len(measurements)} samples with {measurements.shape[1]} measurements each.")
print(f"{counts['benign']} are benign, {counts['malignant']} malignant.")

summary = measurements.agg(["min", "median", "max"]).T
summary["max / median"] = summary["max"] / summary["median"]
print(summary.sort_values("max / median", ascending=False).head(8).round(3).to_string())

# %% [markdown]
# ## 3. Skewed numbers
#
# In the columns above, half of all values lie below the median, yet the largest is many times as
# large: most values crowd at one end, and a few are huge. Such a column is *skewed*. It is the
# usual thing for areas, incomes, prices, durations: whatever grows by factors rather than by steps.
# In a picture the crowd is a thick line at the edge, and in a model that measures distances the few
# huge values drown all others.
#
# `LogScaler` takes the logarithm, in a way that is safe: sign(x) · ln(1 + |x|). Zero stays zero,
# negative numbers stay negative, and nothing is lost, as the last line proves by going back.

# %%
scaler = LogScaler()
scaled = scaler.fit_transform(measurements)
skewness = pd.DataFrame({"before": measurements.skew(), "after": scaled.skew()})
print(skewness.sort_values("before", ascending=False).head(8).round(2).to_string())

restored = scaler.inverse_transform(scaled)
difference = np.abs(restored - measurements).to_numpy().max()
print(f"There and back, no number changes by more than {difference:.0e}.")

# %% [markdown]
# An *empirical distribution function* shows a whole column without any bins to choose: at each
# value on the x-axis, it says which share of the samples lies at or below it. Skewed data rises
# like a wall and then creeps; evenly spread data rises like a ramp. The further the two lines are
# apart, the more this one column tells about the diagnosis.
#
# The last row hardly changes. All its values are well below 1, and there ln(1 + x) is almost x:
# the *unit* decides what the scaling does. In a smaller unit the same column would spread.

# %%
shown = ["area error", "worst area", "perimeter error", "concavity error"]
palette = {"benign": plots.ORANGE, "malignant": plots.BLUE}  # the tree will have these too
figure = Figure(figsize=(plots.WIDTH, 8), layout="constrained")
cells = figure.subplots(len(shown), 2, sharey=True)
for side, (state, table) in enumerate({"as measured": measurements, "log-scaled": scaled}.items()):
    for axes, column in zip(cells[:, side], shown, strict=True):
        for name, line in {"benign": "--", "malignant": "-"}.items():
            values = table.loc[diagnosis == name, column]
            sns.ecdfplot(x=values, color=palette[name], linestyle=line, label=name, ax=axes)
        axes.set(xlabel=f"{column}, {state}", ylabel="share of samples")
        sns.despine(ax=axes)
cells[0, 0].legend(frameon=False, loc="lower right")
run.show(
    figure,
    "distributions",
    alt="Empirical distribution functions of four columns, before and after log scaling",
)

# %% [markdown]
# ## 4. Keep some samples for the end
#
# A quarter of the samples is put aside now and not looked at until the model is final. Whoever
# chooses a model by looking at the test data has used it for learning, and its verdict is worth
# nothing any more. *Stratified* means that both parts hold the same share of malignant samples.

# %%
train, test, known_train, known_test = train_test_split(
    measurements,
    diagnosis,
    test_size=parameters.test_share,
    stratify=diagnosis,
    random_state=parameters.seed,
)
print(f"{len(train)} samples to learn from, {len(test)} to test on.")

# %% [markdown]
# ## 5. A pipeline
#
# Scaling and tree become one model. So the same steps are applied to whatever it is shown, in
# training, in every round of the cross-validation and in the test, and nobody can forget one.
#
# Each *leaf* of the tree, where its questions end, must hold a few samples. The shares of the
# diagnoses among them are the tree's confidence; of one sample alone, 100 % would mean nothing.

# %%
model = Pipeline(
    [
        ("scale", LogScaler()),
        (
            "tree",
            DecisionTreeClassifier(
                min_samples_leaf=parameters.smallest_leaf, random_state=parameters.seed
            ),
        ),
    ]
)
model

# %% [markdown]
# ## 6. How deep?
#
# The deeper a tree, the more questions it asks in a row. Too few, and it cannot tell what could be
# told: it *underfits*. Too many, and it ends with questions that fit a single sample: it knows its
# training data by heart and nothing else, it *overfits*.
#
# The test data may not help us choose. So the training data is cut into parts, *folds*; each in
# turn is left out, the tree learns from the others and is examined on the one left out. That is
# *cross-validation*. The shaded bands show how much the result varies from fold to fold.
#
# With so few samples, the best of the mean scores is partly luck. Therefore the smallest tree is
# taken that is as good as the best one up to the *standard error* of its mean. That rule comes from
# the inventors of these trees: L. Breiman and others, *Classification and Regression Trees* (1984).


# %%
def draw_scores(axes: Axes, x: np.ndarray, train_scores: np.ndarray, scores: np.ndarray) -> None:
    """Draw mean and spread over the folds; both scores have the shape (len(x), folds)."""
    for values, color, line, label in (
        (train_scores, plots.BLUE, "o-", "samples it learned from"),
        (scores, plots.ORANGE, "s--", "samples left out"),
    ):
        mean, spread = 100 * values.mean(axis=1), 100 * values.std(axis=1)
        axes.plot(x, mean, line, color=color, label=label)
        axes.fill_between(x, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
    axes.set_ylabel("accuracy (%)")
    sns.despine(ax=axes)


validation = StratifiedKFold(parameters.folds, shuffle=True, random_state=parameters.seed)
depths = np.arange(1, parameters.deepest + 1)
train_scores, scores = validation_curve(  # (depths, folds) each
    model, train, known_train, param_name="tree__max_depth", param_range=depths, cv=validation
)
means = scores.mean(axis=1)
errors = scores.std(axis=1, ddof=1) / np.sqrt(parameters.folds)
good_enough = means >= means.max() - errors[means.argmax()]
depth = int(depths[good_enough.argmax()])  # the first that is good enough
model.set_params(tree__max_depth=depth)

sizes, *size_scores = learning_curve(
    model,
    train,
    known_train,
    train_sizes=np.linspace(0.2, 1, 8),
    cv=validation,
    shuffle=True,
    random_state=parameters.seed,
)
figure = Figure(figsize=(plots.WIDTH, 3), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
draw_scores(left, depths, train_scores, scores)
left.axvline(depth, color="0.6", linestyle=":")
left.set(xlabel="depth of the tree")
left.legend(frameon=False)
draw_scores(right, sizes, *size_scores)
right.set(xlabel=f"samples to learn from, at depth {depth}", ylabel="")
run.show(
    figure,
    "learning-curves",
    alt="Accuracy against the depth of the tree, and against the number of samples",
)
print(f"At depth {depth}, {means[depth - 1]:.1%} of the samples left out are told correctly.")

# %% [markdown]
# On the left, look where the lines part: from there on more questions only help to remember. The
# dotted line marks the depth that was taken.
#
# On the right, the same tree learns from more and more samples. If the lower line still rises at
# the end, more data would help; once both lines have met, only another model or other measurements
# would.

# %% [markdown]
# ## 7. The test
#
# Now the final model learns from all training data, and only now the test data is asked. A number
# alone says little, so here is one to compare with: how good is always answering with the more
# frequent diagnosis?

# %%
model.fit(train, known_train)
predicted = model.predict(test)  # (N,)
correct = int((predicted == known_test).sum())
accuracy = correct / len(test)
baseline = float((known_test == known_train.mode()[0]).mean())
print(
    f"The tree is right about {correct} of {len(test)} unseen samples: {accuracy:.1%}.\n"
    f"Always answering {known_train.mode()[0]!r} would be right in {baseline:.1%}."
)

# %% [markdown]
# Not all mistakes weigh the same. To take a benign lump for malignant costs fear and another
# examination; to take a malignant one for benign may cost a life. The *confusion matrix* keeps
# them apart: each row is a known diagnosis, each column a predicted one.
#
# Its colours are made here, from three of our own. A good colormap for amounts goes from light to
# dark without turning, so that it works in print and for every kind of colour vision;
# `check_lightness` would warn if it did not.

# %%
colormap = plots.define_colormap(["#fffbe6", "7fc8b8", "#14284b"], name="lagoon")
plots.check_lightness(colormap)
classes = [str(name) for name in model.classes_]
confusion = confusion_matrix(known_test, predicted, labels=classes)  # (2, 2)
run.show(
    plots.confusion_heatmap(confusion, classes, what="diagnosis", cmap=colormap),
    "confusion-matrix",
    alt="Heat map of known against predicted diagnosis",
)
missed = int(confusion[classes.index("malignant"), classes.index("benign")])
alarms = int(confusion[classes.index("benign"), classes.index("malignant")])
print(f"Malignant and missed: {missed}. Benign and taken for malignant: {alarms}.")

# %% [markdown]
# ## 8. Read the tree
#
# Start at the left; where the question's answer is yes, go up. Each box shows the question, how
# mixed the samples are that get there (*gini*: 0 is pure, 0.5 is half and half), what share of all
# they are, how they divide among the diagnoses, and which one is more frequent. The fuller the
# colour, the purer the box.

# %%
drawing = export_tree(model, run.folder / "tree.png", overwrite=True)
drawing

# %% [markdown]
# The questions are asked about scaled numbers, since that is what the tree was given. Taken back
# through the scaler's inverse, the same questions read in the units of the data:

# %%
nodes = model["tree"].tree_
asks = nodes.children_left != nodes.children_right  # a leaf has no children: both are -1
questions = pd.DataFrame(
    {
        "column": measurements.columns[nodes.feature[asks]],
        "at most": np.expm1(nodes.threshold[asks]),  # all measurements are positive
        "samples": nodes.n_node_samples[asks],
    }
)
print(questions.sort_values("samples", ascending=False).round(4).to_string(index=False))

# %% [markdown]
# ## 9. Does the tree need the scaling?
#
# No, and it is worth knowing why. A tree asks only whether a value lies above or below a threshold.
# The logarithm keeps the order of the values, so the tree divides its samples in the same way. Only
# a new sample that falls just between two known ones may be judged otherwise, since the threshold
# lies midway between these, and midway on another scale. Models that add up or measure distances
# are another matter: to them one huge value is as loud as a hundred small ones. The *nearest
# neighbours* of a sample, for instance, are others after scaling.
#
# So scale for the models that need it, for pictures, and for your own eyes; and do not believe that
# a step helps until you have left it out and compared. A pipeline makes that easy: the word
# "passthrough" stands for doing nothing.

# %%
comparison = pd.DataFrame(
    {
        name: {
            state: cross_val_score(
                Pipeline([("scale", step), ("classify", clone(classifier))]),
                train,
                known_train,
                cv=validation,
            ).mean()
            for state, step in {"as measured": "passthrough", "log-scaled": LogScaler()}.items()
        }
        for name, classifier in {
            "decision tree": model["tree"],
            "nearest neighbours": KNeighborsClassifier(),
        }.items()
    }
)
print("Accuracy on samples left out:")
print(comparison.map("{:.1%}".format).to_string())

# %% [markdown]
# ## 10. Which measurements matter?
#
# Shuffle one column of the test data, so that it says nothing any more, and see how much worse the
# model gets: that is the column's *permutation importance*. It is measured on samples the tree has
# not seen, so a question that only fitted the training data earns nothing.
#
# Be careful with the reading. Radius, perimeter and area of a nucleus say almost the same. The tree
# asks about one of them and leaves the others at zero; that does not make them meaningless. And
# what helps to predict need not be what causes.

# %%
importance = permutation_importance(
    model, test, known_test, n_repeats=10, random_state=parameters.seed
)
ranking = pd.DataFrame(
    {"importance": importance.importances_mean, "spread": importance.importances_std},
    index=measurements.columns,
).sort_values("importance", ascending=False)
asked = ranking[ranking.index.isin(questions["column"])]

figure = Figure(figsize=(plots.WIDTH, 1 + 0.3 * len(asked)), layout="constrained")
axes = figure.subplots()
axes.barh(asked.index, 100 * asked["importance"], xerr=100 * asked["spread"], color=plots.BLUE)
axes.invert_yaxis()
axes.set(xlabel="accuracy lost when shuffled (percentage points)")
sns.despine(ax=axes)
run.show(figure, "importances", alt="Bar chart of the permutation importance of each column")
print(f"Columns asked about: {len(asked)} of {len(ranking)}. The first: {asked.index[0]}")

# %% [markdown]
# ## 11. What the tree gets wrong
#
# Look at single mistakes, always. Here is every sample of the test data at the two measurements
# that matter most, with the tree's thresholds as dotted lines and its mistakes ringed. A mistake
# close to a line is a near miss. One deep in the other colour's country is interesting: a rare
# kind, a slip in the measuring, or a wrong label.

# %%
confidence = model.predict_proba(test).max(axis=1)  # (N,), the share of the majority in the leaf
across, up = ranking.index[:2]
answers = test[[across, up]].assign(
    known=known_test, predicted=predicted, confidence=confidence.round(3)
)
mistakes = answers.query("known != predicted").sort_values("confidence", ascending=False)

figure = Figure(figsize=(plots.WIDTH, 4.5), layout="constrained")
axes = figure.subplots()
sns.scatterplot(
    answers,
    x=across,
    y=up,
    hue="known",
    style="known",
    hue_order=list(palette),
    style_order=list(palette),
    palette=palette,
    alpha=0.7,
    ax=axes,
)
axes.scatter(
    mistakes[across],
    mistakes[up],
    s=120,
    facecolors="none",
    edgecolors="black",
    label="mistaken",
)
for column, threshold in zip(questions["column"], questions["at most"], strict=True):
    if column == across:
        axes.axvline(threshold, color="0.6", linestyle=":", zorder=0)
    elif column == up:
        axes.axhline(threshold, color="0.6", linestyle=":", zorder=0)
axes.legend(frameon=False)
sns.despine(ax=axes)
run.show(figure, "mistakes", alt="Scatter plot of the test samples with the mistakes ringed")
print(f"Misclassified samples: {len(mistakes)}")
print(mistakes.drop(columns=up).head(10).to_string())

# %% [markdown]
# The mistakes the tree was surest of come first. The table goes into a CSV file with an empty
# column `verdict`, for what *you* find out about each.

# %%
mistakes.assign(verdict="").to_csv(run.folder / "mistakes.csv", index_label="index")
run.save_metrics(
    {
        "accuracy": accuracy,
        "baseline": baseline,
        "depth": depth,
        "leaves": int(model["tree"].get_n_leaves()),
        "validation_accuracy": float(means[depth - 1]),
        "confusion_matrix": confusion.tolist(),
        "classes": classes,
        "misclassified": [int(index) for index in mistakes.index],
    }
)
print(f"Written: {run.folder.name}/mistakes.csv")

# %% [markdown]
# ## What to try next
#
# - `seed = 1`: another split, perhaps another tree. How much do depth and accuracy move?
# - `smallest_leaf = 1`: what becomes of the confidence in section 11?
# - `class_weight={"malignant": 5, "benign": 1}`: fewer missed, more false alarms. What is it worth?
# - A `RandomForestClassifier` in the tree's place: many trees vote. Does it beat the single one,
#   and what of section 8 is lost?
# - Your own table: `pd.read_csv` in section 2, and the name of the column to predict.
