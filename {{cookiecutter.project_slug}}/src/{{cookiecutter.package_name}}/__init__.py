"""What the labs import: data, training, evaluation and plots."""
