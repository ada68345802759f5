"""JupyterLab and TensorBoard on the machine, in the browser here."""
