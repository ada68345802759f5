"""Sessions on the machine that open in the browser on the laptop: JupyterLab and TensorBoard."""
