"""Paper: blank sheets, from the printing house's carton to the holder's hand."""
