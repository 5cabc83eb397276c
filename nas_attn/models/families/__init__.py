"""Who builds networks that are not ours: a file for each library."""

from nas_attn.models.families._family import FAMILIES, Builder, NetworkFamily, family_names, network_family

__all__ = ["FAMILIES", "Builder", "NetworkFamily", "family_names", "network_family"]
