"""What both halves share: manifests, safe writing, stages that know when they are stale. Standard library only."""
