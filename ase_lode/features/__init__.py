"""From one structure to numbers: density and field expansions, and the invariants that couple them."""
