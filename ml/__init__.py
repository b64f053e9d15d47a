"""Trains an image classifier by transfer learning: from folders of labelled pictures to a checked model artifact.

It imports no other part of this repository.
"""
