# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
# ---

# %% [markdown]
# # A network learns to read digits
#
# In the next minute or two a small neural network learns handwriting on this machine. You see its
# data, build it, take one step of its training by hand, let it train, and then look closely at
# what it gets wrong. Everything below is meant to be changed: change a number, run the cells
# again, compare.
#
# In VS Code press **Run All Cells** above; in Jupyter, *Run → Run All Cells*.

# %% [markdown]
# ## 1. What can be set
#
# The names in this cell are the parameters of the lab. When the lab runs without anybody watching,
# these are the names that `-p epochs 5` refers to.

# %% tags=["parameters"]
dataset = "auto"  # "mnist", "digits", or "auto": MNIST if it can be had, else the bundled digits
epochs = 0  # how often the network sees every image; 0 means: what suits the data set
batch_size = 128  # images per step
learning_rate = 0.1  # how far a step goes at most
shift = 1  # pixels by which images are moved at random while the network learns
seed = 0  # the same seed gives the same result on a CPU

# %%
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from {{ cookiecutter.package_name }} import data, evaluation, plots, training
from {{ cookiecutter.package_name }}.runs import start_run

run = start_run(
    "mnistlab",
    {
        "dataset": dataset,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "shift": shift,
        "seed": seed,
    },
)
parameters = run.parameters
device = training.best_device()
print(f"Training on: {device}. Results go to: {run.folder}")

# %% [markdown]
# ## 2. The data
#
# Each sample is a picture of one handwritten digit, 28 × 28 grey values between 0 (paper) and 1
# (ink), together with its *label*: the digit that a person says it shows. The samples come in two
# parts. The network learns from the first, and is tested on the second, which it never sees while
# it learns. Otherwise we could not tell understanding from memory: a network with enough weights
# can learn any set of pictures by heart.

# %%
digits = data.load(parameters.dataset)
print(f"{digits.name}: {len(digits.train):,} images to learn from, {len(digits.test):,} to test on")
run.show(plots.sample_grid(digits.train), "samples", alt="Forty handwritten digits with labels")

# %% [markdown]
# Always count before you train. If one digit were rare, a network could ignore it and still look
# good; here all ten are about equally frequent, so plain accuracy is a fair measure.

# %%
run.show(plots.digit_counts(digits), "digit-counts", alt="Bar chart of images per digit")

# %% [markdown]
# ## 3. The network
#
# A *convolution* slides a small window over the picture and looks for the same pattern everywhere:
# an edge or a bend matters wherever it lies. The first layer looks for simple strokes through 5 ×
# 5 windows, the later ones for combinations of what the layer before has found. In between, *max
# pooling* keeps the strongest evidence of each 2 × 2 square, which halves the picture's sides,
# *batch normalisation* keeps the numbers in a comfortable range, and *ReLU* lets only positive
# evidence pass. At the end one *linear* layer weighs all the evidence and gives ten numbers, the
# *logits*: the larger one of them, the more the network believes in that digit.
#
# The remarks behind the lines say what shape the numbers have at that point, for a batch of B
# images.


# %%
class DigitNetwork(nn.Module):
    """Three convolutions and a linear layer: images (B, 1, 28, 28) to logits (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, stride=2, padding=2, bias=False),  # (B, 16, 14, 14)
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False),  # (B, 32, 14, 14)
            nn.MaxPool2d(2),  # (B, 32, 7, 7)
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3, padding=1, bias=False),  # (B, 64, 7, 7)
            nn.MaxPool2d(2),  # (B, 64, 3, 3)
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Flatten(),  # (B, 576)
            nn.Linear(64 * 3 * 3, 10),  # (B, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits for a batch of images."""
        centred = (images - 0.1307) / 0.3081  # by MNIST's mean and standard deviation
        return self.layers(centred)


torch.manual_seed(parameters.seed)
network = DigitNetwork()
weights = sum(weight.numel() for weight in network.parameters())
print(network)
print(f"{weights:,} weights, all of them random so far.")

# %% [markdown]
# ## 4. Learning
#
# ### One step by hand
#
# All training is this one step, repeated:
#
# 1. *forward*: the network guesses, for a batch of images;
# 2. *loss*: one number says how wrong the guesses are. The cross-entropy is small when the right
# digit got a high probability. Ten equally likely guesses give ln 10 ≈ 2.30;
# 3. *backward*: for each weight, in which direction would the loss grow? That is the *gradient*;
# 4. *update*: move every weight a little the other way.

# %%
images, labels = digits.train.images[:256], digits.train.labels[:256]
optimizer = torch.optim.SGD(network.parameters(), lr=0.05)

logits = network(images)  # forward: (256, 10)
loss_before = F.cross_entropy(logits, labels)  # loss
loss_before.backward()  # backward
optimizer.step()  # update

with torch.no_grad():
    loss_after = F.cross_entropy(network(images), labels)
print(f"Loss before the step: {loss_before:.3f}; after it, on the same images: {loss_after:.3f}.")

# %% [markdown]
# The same images, a smaller loss: the network has learned something. Not much, and perhaps only
# about these images. So now many steps, each with another batch.
#
# ### Training
#
# `training.fit` (open it: it is one short function) takes that step for batch after batch until
# every image was seen `epochs` times. Four refinements make it fast and good. The updates have
# *momentum*: they go on in a direction that has proved right. The *learning rate* rises at first,
# while the network knows nothing, and falls towards the end, so that it settles. The labels are
# *smoothed*: the network shall be quite sure, never absolutely, so that one odd picture does not
# upset it. And the images of a batch are *moved* by a pixel at random: a 7 stays a 7 wherever it
# stands.
#
# After every epoch the state is saved in a *checkpoint*. Started by `torchrun`, the same cell
# trains on many processors or machines at once: each takes its share of every batch, and the
# gradients are averaged.
#
# While it trains, *TensorBoard* can show the curves live, on the machine that trains:
# `.venv/bin/tensorboard --logdir outputs`.

# %%
torch.manual_seed(parameters.seed)
network = DigitNetwork()  # afresh, so that running this cell again starts again
chosen_epochs = parameters.epochs or {"mnist": 3, "digits": 8}[digits.name]

with SummaryWriter(run.folder / "tensorboard") as writer:
    training.write_overview(writer, network, digits.train)
    started = time.perf_counter()
    results = training.fit(
        network,
        digits,
        epochs=chosen_epochs,
        batch_size=parameters.batch_size,
        peak_learning_rate=parameters.learning_rate,
        seed=parameters.seed,
        shift=parameters.shift,
        device=device,
        writer=writer,
        checkpoint=run.checkpoint,
        resume=run.resumes,
    )
    seconds = time.perf_counter() - started
run.end_other_processes()
print(f"The training took {seconds:.1f} s.")

# %% [markdown]
# ## 5. How well did it learn?
#
# Watch the two losses. As long as both fall, the network learns what digits look like. Were the
# training loss to fall on while the test loss rises, it would be learning its pictures by heart:
# *overfitting*. The training loss of an epoch is measured while the network is still improving, so
# at first it may well lie above the test loss.

# %%
run.show(
    plots.learning_curves(results), "learning-curves", alt="Loss and test accuracy for every epoch"
)
accuracy = results[-1].accuracy
correct = round(accuracy * len(digits.test))
print(
    f"Of {len(digits.test):,} digits that it has never seen, "
    f"the network reads {correct:,} correctly: {accuracy:.2%}."
)

# %% [markdown]
# ## 6. What is taken for what?
#
# One number hides which digits are hard. The *confusion matrix* shows it: each row is a known
# digit, each column what the network predicted. What is right stands on the diagonal; everything
# beside it is a mistake.

# %%
probabilities = evaluation.predict(network, digits.test.images)  # (N, 10)
predicted = probabilities.argmax(dim=1)  # (N,)
confusion = evaluation.confusion_matrix(digits.test.labels, predicted, classes=10)
run.show(
    plots.confusion_heatmap(confusion, data.DIGITS),
    "confusion-matrix",
    alt="Heat map of known against predicted digits",
)
confusions = evaluation.most_confused(confusion)
print(evaluation.describe_confusions(confusions))

# %% [markdown]
# ## 7. The mistakes, one by one
#
# Nothing teaches more than looking at single mistakes. Some digits are hard even for us. And some
# are not the network's mistake at all: the *label* is wrong. Those we want to find, for a wrong
# label in the training data teaches nonsense, and a wrong label in the test data punishes the
# right answer.
#
# So the mistakes are ranked by how doubtful the label looks: the first ones are those where the
# network is almost sure of one digit and finds the given label almost impossible.

# %%
mistakes = evaluation.rank_mistakes(digits.test, probabilities)
misclassified = mistakes["index"].tolist()  # which samples of the data set they are
run.show(
    plots.mistake_gallery(digits.test, mistakes.head(32)),
    "mistakes",
    alt="Misclassified digits with known label, predicted label and confidence",
)
print(f"{len(misclassified)} samples are misclassified.")
print(mistakes.head(10).to_string(index=False))

# %% [markdown]
# The whole table goes into a CSV file with an empty column `verdict`. Open it in a spreadsheet,
# look at the gallery, and write down what *you* see: a corrected label, "unreadable", "network's
# fault". That is how data is cleaned.

# %%
mistakes.to_csv(run.folder / "mistakes.csv", index=False)
run.save_metrics(
    {
        "dataset": digits.name,
        "epochs": chosen_epochs,
        "device": str(device),
        "weights": weights,
        "accuracy": accuracy,
        "training_seconds": round(seconds, 2),
        "loss_before_step": loss_before.item(),
        "loss_after_step": loss_after.item(),
        "confusion_matrix": confusion.tolist(),
        "misclassified": misclassified,
    }
)
print(f"Written: {run.folder / 'mistakes.csv'}")

# %% [markdown]
# ## 8. Keeping what was learned
#
# What the network knows is in its weights, so those are what we save: the `state_dict`, numbers
# with names. Loading them needs the class above and nothing else. `weights_only=True` makes sure
# that a file from somebody else can bring numbers only, never code.
#
# Saving is worth nothing until loading has been seen to work: a second network takes the
# weights, and must answer as the first one does.

# %%
weights_file = run.folder / "weights.pt"
torch.save(network.state_dict(), weights_file)

restored = DigitNetwork().to(device, memory_format=torch.channels_last)
restored.load_state_dict(torch.load(weights_file, weights_only=True))
restored_probabilities = evaluation.predict(restored, digits.test.images)
agree = torch.equal(probabilities, restored_probabilities)
print(f"The restored network gives the same answers: {'yes' if agree else 'NO'}.")

# %% [markdown]
# ## What to try next
#
# - `epochs = 10`: how far does it get, and does the test loss still fall?
# - Leave out a convolution, or double the channels. What happens to accuracy and time?
# - `seed = 1`: how much of a difference between two runs is luck?
# - Correct the labels you found doubtful, and train again.
