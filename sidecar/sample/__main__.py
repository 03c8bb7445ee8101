"""`python -m sidecar.sample`, by the Python of the model server's environment: makes the sample, prints where it lies."""

from sidecar.sample.finetune import main

main()
