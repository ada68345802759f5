"""What runs in the project's environment, `.venv`: headless runs, kernels, sessions, processes."""
