"""Search spaces: which attention may stand at which location of a U-Net, within which limits."""

from nas_attn.space.ceiling import Ceiling, Limits
from nas_attn.space.find import SpaceSummary, find_space, list_spaces
from nas_attn.space.read import read_space, space_from_dict, space_from_text
from nas_attn.space.space import Dropped, SearchSpace
from nas_attn.space.write import space_text, write_space

__all__ = [
    "Ceiling",
    "Dropped",
    "Limits",
    "SearchSpace",
    "SpaceSummary",
    "find_space",
    "list_spaces",
    "read_space",
    "space_from_dict",
    "space_from_text",
    "space_text",
    "write_space",
]
