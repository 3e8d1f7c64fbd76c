"""Everything that runs the product on one machine; the product never imports it."""
