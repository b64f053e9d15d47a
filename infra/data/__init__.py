"""The photos that a deployment learns from: from a folder, the internet or scikit-learn."""
