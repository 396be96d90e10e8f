"""How much client CPU and memory a scan costs, as ratios to a yardstick that is measured in the same run."""
