"""What is built: placements, kinds and networks as values, which need no torch; attention modules and U-Nets."""
