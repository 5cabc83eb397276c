"""Networks: placements, attention kinds and network descriptions as values, which need no torch; attention modules
and U-Nets."""
