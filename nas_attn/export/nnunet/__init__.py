"""Attention for networks that nnU-Net v2 plans: a file with trainers that nnU-Net finds."""
