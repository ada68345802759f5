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
# In the next few seconds a small neural network learns handwriting on this machine. You see its
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
dataset = "auto"  # "mnist", "digits", or "auto": MNIST if available, else the bundled digits
images = 0  # how many images to learn from; 0 means: all
epochs = 0  # how often the network sees every image; 0 means: what suits the data set
hard_epochs = 1  # how often it then sees those once more that it knows least
batch_size = 128  # images per step
learning_rate = 0.02  # how far a step goes at most
shift = 1  # pixels by which images are moved at random while the network learns
seed = 0  # the same seed gives the same result on a CPU

# %%
import time
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from {{ cookiecutter.package_name }} import digits, evaluation, plots, training
from {{ cookiecutter.package_name }}.data import shift as move_images
from {{ cookiecutter.package_name }}.runs import start_run

run = start_run(
    "mnistlab",
    {
        "dataset": dataset,
        "images": images,
        "epochs": epochs,
        "hard_epochs": hard_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "shift": shift,
        "seed": seed,
    },
)
parameters = run.parameters
device = training.best_device()
print(f"Training on: {device}")

# %% [markdown]
# ## 2. The data
#
# Each sample is a picture of one handwritten digit, 28 × 28 grey values between 0 (paper) and 1
# (ink), together with its *label*: the digit that a person says it shows. The samples come in two
# parts. The network learns from the first, and is tested on the second, which it never sees while
# it learns. Otherwise we could not tell understanding from memory: a network with enough weights
# can learn any set of pictures by heart.

# %%
pictures = digits.load(parameters.dataset, images=parameters.images)
print(
    f"{pictures.name}: {len(pictures.train):,} images to learn from, "
    f"{len(pictures.test):,} to test on"
)
run.show(
    plots.sample_grid(pictures.train, pictures.classes),
    "samples",
    alt="Forty handwritten digits with labels",
)

# %% [markdown]
# Always count before you train. If one digit were rare, a network could ignore it and still look
# good; here all ten are about equally frequent, so plain accuracy is a fair measure.

# %%
run.show(
    plots.class_counts(pictures, what="digit"), "digit-counts", alt="Bar chart of images per digit"
)

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
# The network is built to be quick. The border of a picture is empty, so it looks at the middle, 24
# × 24 pixels. The first window moves by two pixels at a time (`stride`), so that all later layers
# have a quarter of the work. Nothing is added around the pictures (`padding`), for the same reason.
# The many channels come last, where the pictures are small.
#
# When it is tested, it looks twice: once a pixel further up and left, once further down and right.
# The mean of two opinions is better than one, and costs nothing while it learns.
#
# The remarks behind the lines say what shape the numbers have at that point, for a batch of B
# images.


# %%
class DigitNetwork(nn.Module):
    """Three convolutions and a linear layer: images (B, 1, 28, 28) to logits (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, stride=2, bias=False),  # (B, 16, 10, 10)
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, bias=False),  # (B, 32, 8, 8)
            nn.MaxPool2d(2),  # (B, 32, 4, 4)
            nn.BatchNorm2d(32),  # after pooling: a quarter of the numbers
            nn.ReLU(),
            nn.Conv2d(32, 96, kernel_size=3, bias=False),  # (B, 96, 2, 2)
            nn.BatchNorm2d(96),
            nn.ReLU(),
            nn.Flatten(),  # (B, 384)
            nn.Linear(96 * 2 * 2, 10),  # (B, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits for a batch of images."""
        if self.training:
            return self.look(images, 2)
        return (self.look(images, 1) + self.look(images, 3)) / 2

    def look(self, images: Tensor, corner: int) -> Tensor:
        """Return the logits for 24 x 24 pixels (B, 1, 24, 24), from that row and column on."""
        seen = images[:, :, corner : corner + 24, corner : corner + 24]
        return self.layers((seen - 0.1307) / 0.3081)  # by MNIST's mean and standard deviation


torch.manual_seed(parameters.seed)
network = DigitNetwork()
weights = sum(weight.numel() for weight in network.parameters())
for layer in network.layers:
    print(f"{type(layer).__name__:12} {sum(one.numel() for one in layer.parameters()):7,} weights")
print(f"Together {weights:11,} weights, all of them random so far.")

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
few, labels = pictures.train[:256].inputs, pictures.train[:256].labels

logits = network(few)  # forward: (256, 10)
loss_before = F.cross_entropy(logits, labels)  # loss
gradients = torch.autograd.grad(loss_before, list(network.parameters()))  # backward
with torch.no_grad():
    for weight, gradient in zip(network.parameters(), gradients, strict=True):
        weight -= 0.05 * gradient  # update
    loss_after = F.cross_entropy(network(few), labels)
print(f"Loss before the step: {loss_before:.3f}; after it, on the same images: {loss_after:.3f}.")

# %% [markdown]
# The same images, a smaller loss: the network has learned something. Not much, and perhaps only
# about these images. So now many steps, each with another batch.
#
# ### Training
#
# `training.fit` takes that step for batch after batch until every image was seen `epochs` times.
# Open it: the loop is about twenty lines, and yours to change. What makes it fast and good:
#
# - The optimiser is *AdamW*. It keeps a direction that has proved right, and gives each weight
#   steps of its own size. Two numbers (`betas`) say how long it remembers: here briefly, as all is
#   over soon. `weight_decay` lets weights shrink that nothing needs.
# - The *learning rate* rises in the first quarter, while the network knows nothing, and then falls
#   evenly to almost nothing, so that it settles.
# - The labels are *smoothed*: the network should be quite sure, never absolutely, so that one odd
#   picture does not upset it. No loss falls below 0.5 then.
# - Every image is *moved* by a pixel at random: a 7 stays a 7 wherever it is.
# - In the end the *hardest third* comes again, as with flash cards: what you know you put aside,
#   what you did not know you look at once more. Hard is what had a large loss when it was last
#   seen. A second pass over everything would take three times as long.
# - *One thread* computes (`threads=1`). For so small a network several would mostly wait for each
#   other; and the result does not depend on how many cores there are.
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
chosen_epochs = parameters.epochs or {"mnist": 1, "digits": 4}[pictures.name]

with SummaryWriter(run.folder / "tensorboard") as writer:
    training.write_overview(writer, network, pictures.train)
    started = time.perf_counter()
    results = training.fit(
        network,
        pictures.train.tensors,
        pictures.test.tensors,
        epochs=chosen_epochs,
        hard_epochs=parameters.hard_epochs,
        hard_part=1 / 3,
        batch_size=parameters.batch_size,
        peak_learning_rate=parameters.learning_rate,
        make_optimizer=partial(training.AdamW, betas=(0.7, 0.9), weight_decay=0.03),
        loss=nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none"),  # of each image
        transform=move_images(parameters.shift),
        seed=parameters.seed,
        device=device,
        threads=1,
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
# at first it may well lie above the test loss. In the last epoch it is that of the hardest images
# only.

# %%
run.show(
    plots.learning_curves(results), "learning-curves", alt="Loss and test accuracy for every epoch"
)
accuracy = results[-1].metrics["accuracy"]
correct = round(accuracy * len(pictures.test))
print(f"The network reads {correct:,} of {len(pictures.test):,} unseen digits: {accuracy:.2%}.")

# %% [markdown]
# ## 6. Which digits are confused?
#
# One number hides which digits are hard. The *confusion matrix* shows it: each row is a known
# digit, each column what the network predicted. What is right is on the diagonal; everything
# beside it is a mistake.

# %%
probabilities = evaluation.predict(network, pictures.test.images)  # (N, 10)
predicted = probabilities.argmax(dim=1)  # (N,)
confusion = evaluation.confusion_matrix(pictures.test.labels, predicted, classes=10)
run.show(
    plots.confusion_heatmap(confusion, pictures.classes, what="digit"),
    "confusion-matrix",
    alt="Heat map of known against predicted digits",
)
confusions = evaluation.most_confused(confusion)
print(evaluation.describe_confusions(confusions, pictures.classes))

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
mistakes = evaluation.rank_mistakes(pictures.test, probabilities, pictures.classes)
misclassified = mistakes["index"].tolist()  # which samples of the data set they are
run.show(
    plots.mistake_gallery(pictures.test, mistakes.head(30)),
    "mistakes",
    alt="Misclassified digits with known label, predicted label and confidence",
)
print(f"Misclassified digits: {len(misclassified)}")
print(mistakes.head(10).to_string(index=False))

# %% [markdown]
# The whole table goes into a CSV file with an empty column `verdict`. Open it in a spreadsheet,
# look at the gallery, and write down what *you* see: a corrected label, "unreadable", "network's
# fault". That is how data is cleaned.

# %%
mistakes.to_csv(run.folder / "mistakes.csv", index=False)
run.save_metrics(
    {
        "dataset": pictures.name,
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
print(f"Written: {run.folder.name}/mistakes.csv")

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
restored_probabilities = evaluation.predict(restored, pictures.test.images)
agree = torch.equal(probabilities, restored_probabilities)
print(f"The restored network gives the same answers: {'yes' if agree else 'NO'}.")

# %% [markdown]
# ## What to try next
#
# - `epochs = 10`: how far does it get, and does the test loss still fall?
# - Leave out a convolution, or double the channels. What happens to accuracy and time?
# - `seed = 1`: how much of a difference between two runs is luck?
# - Correct the labels you found doubtful, and train again.
# - Change the loop in `training.fit`. *Gradient clipping* is one line before `optimizer.step()`:
#   `torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)`. To *accumulate* gradients over two
#   batches, call `optimizer.step()` and `zero_grad()` at every second one only. To *stop early*,
#   leave the loop when the test loss has not fallen for three epochs.
