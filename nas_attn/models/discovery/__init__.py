"""Inspect a network of others: its locations, its weights and the image sizes that it accepts."""

from nas_attn.models.discovery.describe import Looked, check_asked, check_places, keys_of, look_at
from nas_attn.models.discovery.weights import load_kept
from nas_attn.models.families._call import build_fresh

__all__ = ["Looked", "build_fresh", "check_asked", "check_places", "keys_of", "load_kept", "look_at"]
