"""JupyterLab and Open TensorBoard on the machine in your browser."""
