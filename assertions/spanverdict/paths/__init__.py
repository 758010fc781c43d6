"""From loose spans to request paths: forest, run association, stitching, completeness."""
