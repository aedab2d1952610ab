"""Tasks of the Language Model Evaluation Harness, asked and scored by that harness itself and kept as runs of ours."""
