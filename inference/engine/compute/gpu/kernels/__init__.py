"""The Triton kernels, each module with the functions that launch its own. Imported only where Triton is."""
