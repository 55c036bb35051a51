"""Tests of the second verifier: `python3 -m unittest` in the folder above."""
