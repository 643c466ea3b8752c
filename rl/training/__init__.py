"""Training on top of the library: resumable, recorded, on one process or several."""
