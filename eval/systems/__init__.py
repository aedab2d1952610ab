"""Several systems side by side: named, measured one after the other, compared in pairs, and priced."""
