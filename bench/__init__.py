"""How fast a page is loaded: ratios against a floor and against peers, from one run."""
